/* SPDX-License-Identifier: Apache-2.0 */
/* What nvidia-uvm.ko asks of nvidia.ko: nothing but to be there. */
#ifndef NV_INTERFACE_H
#define NV_INTERFACE_H

int nv_uvm_interface_register(void);
void nv_uvm_interface_deregister(void);

#endif
