# SPDX-License-Identifier: Apache-2.0
#
# One guest with a vGPU, for OpenTofu or Terraform; and the license server (DLS) with a port that stays, if var.license_server_image is
# set. Repository and token come from the cloud's vendor-data: nothing of them is here. Not run by this project's tests: neither
# program is in Debian.

terraform {
  required_providers {
    openstack = {
      source = "terraform-provider-openstack/openstack"
    }
  }
}

variable "network" {
  type = string
}

variable "key_name" {
  type = string
}

variable "image" {
  type    = string
  default = "Rocky9-vGPU"
}

variable "flavor" {
  type    = string
  default = "vgpu.a100.2g.20gb"
}

variable "license_server_image" {
  type    = string
  default = ""
}

data "openstack_networking_network_v2" "network" {
  name = var.network
}

resource "openstack_compute_instance_v2" "guest" {
  name        = "vgpu-guest"
  image_name  = var.image
  flavor_name = var.flavor
  key_pair    = var.key_name

  network {
    uuid = data.openstack_networking_network_v2.network.id
  }
}

resource "openstack_networking_secgroup_v2" "license_server" {
  name        = "nvidia-dls"
  description = "443: licenses; 80: their return at shutdown; 7070: older clients; 22: its administrators"
}

resource "openstack_networking_secgroup_rule_v2" "license_server" {
  for_each          = toset(["22", "80", "443", "7070"])
  security_group_id = openstack_networking_secgroup_v2.license_server.id
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = tonumber(each.value)
  port_range_max    = tonumber(each.value)
}

# The token names this address: the server can be made anew, the port stays.
resource "openstack_networking_port_v2" "license_server" {
  count              = var.license_server_image == "" ? 0 : 1
  name               = "nvidia-dls-1"
  network_id         = data.openstack_networking_network_v2.network.id
  security_group_ids = [openstack_networking_secgroup_v2.license_server.id]
}

resource "openstack_compute_instance_v2" "license_server" {
  count       = var.license_server_image == "" ? 0 : 1
  name        = "nvidia-dls-1"
  image_name  = var.license_server_image
  flavor_name = "8cpu-8gbmem-30gbdisk"

  network {
    port = openstack_networking_port_v2.license_server[0].id
  }
}

output "address" {
  value = openstack_compute_instance_v2.guest.access_ip_v4
}
