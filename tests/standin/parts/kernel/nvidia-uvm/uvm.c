/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's nvidia-uvm.ko: needs nvidia.ko, as the real one does. */
#include "headers.h"
#include "nv-interface.h"

#include <linux/init.h>
#include <linux/module.h>

static int __init uvm_init(void)
{
	pr_info("nvidia-uvm: Loaded the UVM driver, major device number 237.\n");
	return nv_uvm_interface_register();
}

static void __exit uvm_exit(void)
{
	nv_uvm_interface_deregister();
	pr_info("nvidia-uvm: Unloaded the UVM driver.\n");
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_INFO(supported, "external");
MODULE_VERSION(NV_VERSION_STRING);
