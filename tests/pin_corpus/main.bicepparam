using './main.bicep'
param image = 'myreg.azurecr.io/team/params:3'
