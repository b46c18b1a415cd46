# image = "myreg.azurecr.io/team/comment:1"
variable "tag" {
  type        = string
  description = "Which one"
  default     = "v4"
}
variable "unset" {}
locals {
  host = "myreg.azurecr.io"
}
resource "azurerm_container_app" "web" {
  template {
    container {
      image = "${local.host}/team/web:${var.tag}"
    }
    container {
      image = "${azurerm_container_registry.acr.login_server}/team/api:${var.tag}"
    }
    container {
      image = "myreg.azurecr.io/team/unset:${var.unset}"
    }
  }
}
resource "kubernetes_pod" "x" {
  image = "myreg.azurecr.io/team/pod@sha256:1111111111111111111111111111111111111111111111111111111111111111" // the one of last week
}
