// image: 'myreg.azurecr.io/team/comment:1'
param tag string = 'v7'
param other string
var host = 'myreg.azurecr.io'
resource app 'Microsoft.App/containerApps@2024-03-01' = {
  properties: {
    template: {
      containers: [
        { name: 'a', image: '${host}/team/a:${tag}' }
        { name: 'b', image: '${registry.properties.loginServer}/team/b:${tag}' }
        { name: 'c', image: 'myreg.azurecr.io/team/c:${other}' }
        { name: 'd', image: 'myreg.azurecr.io/team/d@sha256:1111111111111111111111111111111111111111111111111111111111111111' }
        { name: 'e', image: 'mcr.microsoft.com/azuredocs/containerapps-helloworld:latest' }
      ]
    }
  }
}
