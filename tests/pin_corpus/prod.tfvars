image = "myreg.azurecr.io/team/tfvars:9" # of last week
images = {
  web = "myreg.azurecr.io/team/tfmap@sha256:1111111111111111111111111111111111111111111111111111111111111111"
}
// old = "myreg.azurecr.io/team/old:1"
