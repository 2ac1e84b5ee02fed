/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's nvidia.ko: says who it is, in the log, in /sys and in /proc. */
#include "headers.h"
#include "nv-interface.h"

#include <linux/init.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static atomic_t users = ATOMIC_INIT(0);

int nv_uvm_interface_register(void)
{
	return atomic_inc_return(&users) > 0 ? 0 : -EINVAL;
}
EXPORT_SYMBOL(nv_uvm_interface_register);

void nv_uvm_interface_deregister(void)
{
	atomic_dec(&users);
}
EXPORT_SYMBOL(nv_uvm_interface_deregister);

static int show_version(struct seq_file *file, void *unused)
{
	seq_puts(file, "NVRM version: NVIDIA UNIX @FLAVOUR_WORDS@  "
		 NV_VERSION_STRING "  Tue Mar 28 18:02:59 UTC 2023\n");
	return 0;
}

static int __init nv_init(void)
{
	struct proc_dir_entry *folder = proc_mkdir("driver/nvidia", NULL);

	if (folder)
		proc_create_single("version", 0444, folder, show_version);
	pr_info("NVRM: loading NVIDIA UNIX @FLAVOUR_WORDS@  " NV_VERSION_STRING "\n");
	return 0;
}

static void __exit nv_exit(void)
{
	remove_proc_subtree("driver/nvidia", NULL);
}

module_init(nv_init);
module_exit(nv_exit);
MODULE_LICENSE("@LICENSE@");
MODULE_DESCRIPTION("stand-in for tests, drives no GPU");
MODULE_VERSION(NV_VERSION_STRING);
MODULE_ALIAS("pci:v000010DEd*sv*sd*bc03sc02i00*");
MODULE_ALIAS("pci:v000010DEd*sv*sd*bc03sc00i00*");
