set -e
TAG=$(git rev-parse HEAD)
docker run --rm myreg.azurecr.io/team/tool:1 myreg.azurecr.io/team/arg
helm upgrade x oci://images.contoso.com/charts/x --version 1.2.3
az acr login -n myreg && curl https://myreg.azurecr.io/v2/team/curl/manifests/v9
docker push myreg.azurecr.io/team/web:$TAG
