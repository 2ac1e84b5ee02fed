#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The ready files of cloud-init/openstack/, each by the real tool that reads it where that is installed (python3-nova, python3-heat,
ansible-playbook), else by the names that its documents give."""
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
SHIPPED = os.path.realpath(os.path.join(HERE, "../../cloud-init/openstack"))
AGENT = os.path.join(os.environ["VGPU_BUILD"], "agent/vgpu-guest-agent")
# Nova's admin guide, "Vendordata".
NOVA = {"api": {"vendordata_providers", "vendordata_jsonfile_path", "vendordata_dynamic_targets", "vendordata_dynamic_ssl_certfile",
                "vendordata_dynamic_connect_timeout", "vendordata_dynamic_read_timeout", "vendordata_dynamic_failure_fatal"},
        "vendordata_dynamic_auth": {"cafile", "certfile", "keyfile"}}
# stackhpc's openstack-config: its etc/openstack-config/ and examples/.
CONFIG = {"openstack_images", "openstack_image_git_elements", "openstack_flavors", "openstack_projects", "openstack_security_groups"}
IMAGE = {"name", "type", "elements", "is_public", "packages", "env", "properties"}
GIT = {"repo", "local", "version", "elements_path"}
FLAVOR = {"name", "ram", "disk", "vcpus", "is_public", "extra_specs"}
PROJECT = {"name", "description", "project_domain", "user_domain", "users", "quotas"}
RULE = {"ethertype", "protocol", "port_range_min", "port_range_max"}


def shipped(name):
    with open(os.path.join(SHIPPED, name), encoding="utf-8") as file:
        return file.read()


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)


class Files(unittest.TestCase):
    def test_each_file_is_in_the_table(self):
        table = shipped("README.md")
        for name in os.listdir(SHIPPED):
            self.assertTrue(name == "README.md" or f"`{name}`" in table, name)

    def test_nova_knows_the_options(self):
        for name in ("nova-static.conf", "nova-dynamic.conf"):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(shipped(name))
            for section in parser.sections():
                self.assertLessEqual(set(parser[section]), NOVA[section], name)

    def test_nova_itself_takes_the_options(self):
        script = ("import sys, nova.conf\nc = nova.conf.CONF\nc(['--config-file', sys.argv[1]], project='nova', default_config_files=[])\n"
                  "for g, names in eval(sys.argv[2]).items():\n  for n in names: getattr(c[g], n)\n"
                  "print(c.api.vendordata_providers, c.api.vendordata_dynamic_failure_fatal)\n")
        for name in ("nova-static.conf", "nova-dynamic.conf"):
            done = run(sys.executable, "-c", script, os.path.join(SHIPPED, name), repr(NOVA))
            if "No module named 'nova'" in done.stdout:
                self.skipTest("python3-nova is not installed")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertRegex(done.stdout, r"\['StaticJSON'.*\] False\n$")

    def test_the_object_is_what_the_agent_reads(self):
        """By its own parser: as configuration, whose keys these are."""
        ours = json.loads(shipped("object.json"))
        sets = [f"--set={group}.{key}={value}" for group, keys in ours.items() for key, value in keys.items()]
        self.assertEqual(run(AGENT, *sets, "config", "check").returncode, 0)

    def test_systemd_takes_the_unit(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = os.path.join(folder, "vgpu-vendordata.service")
            with open(unit, "w", encoding="ascii") as file:
                file.write(shipped("vgpu-vendordata.service").replace("/usr/local/sbin/vendordata-service", f"{SHIPPED}/vendordata-service")
                           .replace("User=vgpu-vendordata", "User=daemon"))
            said = run("systemd-analyze", "verify", "--man=no", unit).stdout
        self.assertEqual([line for line in said.splitlines() if "vgpu-vendordata" in line], [])

    def test_openstack_config(self):
        config = yaml.safe_load(shipped("openstack-config.yml"))
        names = {name for name in config if name in CONFIG}
        self.assertEqual(names, CONFIG)
        for value in re.findall(r"\{\{ (\w+)", shipped("openstack-config.yml")):
            self.assertTrue(value in config or value == "playbook_dir", value)
        image = config["openstack_image_rocky9_vgpu"]
        self.assertEqual(set(image), IMAGE)
        self.assertIn("nvidia-vgpu", image["elements"])
        for repo in config["openstack_image_git_elements"]:
            self.assertEqual(set(repo), GIT)
        self.assertEqual(set(config["openstack_flavor_vgpu"]), FLAVOR)
        self.assertEqual(set(config["project_cloud_services"]), PROJECT)
        rules = config["secgroup_nvidia_dls"]["rules"]
        self.assertTrue(all(set(rule) <= RULE for rule in rules))
        self.assertEqual({rule.get("port_range_min", "icmp") for rule in rules}, {"icmp", 22, 80, 443, 7070})

    def test_the_elements_variables_are_known_to_it(self):
        with open(os.path.join(HERE, "../../dib-element/nvidia-vgpu/README.rst"), encoding="utf-8") as file:
            known = file.read()
        for name in re.findall(r"DIB_NVIDIA_VGPU_\w+", shipped("openstack-config.yml")):
            self.assertIn(f"\n{name}\n", known)

    def test_heat_is_yaml_with_its_version(self):
        stack = yaml.load(shipped("heat.yaml"), yaml.BaseLoader)
        self.assertEqual(stack["heat_template_version"], "2018-08-31")

    def test_heat_itself_takes_the_stack(self):
        script = ("import sys\nfrom heat.common import template_format\nfrom heat.engine import resources, template\n"
                  "stack = template_format.parse(open(sys.argv[1]).read())\nresources.initialise()\n"
                  "t = template.Template(stack)\nenv = resources.global_env()\n"
                  "for name, each in stack['resources'].items():\n"
                  "  unknown = set(each['properties']) - set(env.get_class(each['type']).properties_schema)\n"
                  "  assert not unknown, (name, unknown)\n  print(name, each['type'])\n")
        done = run(sys.executable, "-W", "ignore", "-c", script, os.path.join(SHIPPED, "heat.yaml"))
        if "No module named 'heat'" in done.stdout:
            self.skipTest("python3-heat is not installed")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("guest OS::Nova::Server", done.stdout)

    def test_ansible_takes_the_play(self):
        if not shutil.which("ansible-playbook"):
            self.skipTest("ansible-core is not installed")
        done = run("ansible-playbook", "--syntax-check", "-i", "localhost,", os.path.join(SHIPPED, "existing-guests.yml"),
                   env={**os.environ, "ANSIBLE_LOCAL_TEMP": tempfile.gettempdir()})
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_plays_configuration_is_one(self):
        """What the template becomes, with and without a token."""
        play, = yaml.safe_load(shipped("existing-guests.yml"))
        content = next(task["ansible.builtin.copy"]["content"] for task in play["tasks"] if task["name"] == "Say where the drivers are")
        for token in ("", "token.tok"):
            text = content.replace("{{ repository }}", "https://pulp.example/pulp/content/nvidia/")
            text = re.sub(r"\{% if token_file %\}(.*?)\{% endif %\}", r"\1" if token else "", text, flags=re.S)
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(text)
                file.flush()
                done = run(AGENT, "--config", file.name, "config", "check")
                self.assertEqual(done.returncode, 0, done.stdout + text)

    def test_the_tofu_file_names_each_variable_that_it_uses(self):
        text = shipped("main.tf")
        self.assertEqual(text.count("{"), text.count("}"))
        declared = set(re.findall(r'^variable "(\w+)"', text, re.M))
        self.assertEqual(set(re.findall(r"var\.(\w+)", re.sub(r"#.*", "", text))), declared)


if __name__ == "__main__":
    unittest.main()
