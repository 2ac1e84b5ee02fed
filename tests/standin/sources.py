# SPDX-License-Identifier: Apache-2.0
"""Kernel modules as large as the real driver's: five of them, of files that take the compiler about as long as the real ones."""

# How many of a hundred files belong to each module; nvidia-uvm is two thirds of the real compile.
SHARES = {"nvidia": 22, "nvidia-uvm": 64, "nvidia-modeset": 4, "nvidia-drm": 8, "nvidia-peermem": 2}
FUNCTIONS = 40

HEADERS = ("module", "pci", "mm", "fs", "slab", "workqueue", "interrupt", "seq_file", "proc_fs", "uaccess", "dma-mapping",
           "hashtable", "rbtree", "sched/signal", "kthread", "mmu_notifier")

FUNCTION = """
int {name}(struct list_head *list, const u32 *table, unsigned int count)
{{
	struct {name}_entry {{ struct list_head link; u64 key; u32 value[{width}]; }} *entry, *next;
	u64 sum = {seed}u;
	unsigned int i;

	list_for_each_entry_safe(entry, next, list, link) {{
		for (i = 0; i < {width}; i++)
			sum = (sum ^ (entry->value[i] * {odd}u + table[(sum + i) % count])) >> (i & 7);
		switch (sum & 7) {{
		case 0: entry->key += sum; break;
		case 1: entry->key ^= sum << 3; break;
		case 2: list_move(&entry->link, list); break;
		case 3: if (entry->key > sum) {{ list_del(&entry->link); kfree(entry); }} break;
		case 4: sum += entry->key * {odd}u; break;
		default: sum -= entry->key; break;
		}}
	}}
	return (int)(sum % 251);
}}
"""

MAIN = """/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"
#include <linux/init.h>
#include <linux/module.h>

static int __init bulk_init(void) {{ return 0; }}
static void __exit bulk_exit(void) {{ }}
module_init(bulk_init);
module_exit(bulk_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION(NV_VERSION_STRING);
"""


def text_of(module, number):
    stem = module.replace("-", "_")
    parts = ["/* SPDX-License-Identifier: Apache-2.0 */\n#include \"headers.h\"\n"]
    parts += [f"#include <linux/{name}.h>\n" for name in HEADERS]
    for k in range(FUNCTIONS):
        name = f"{stem}_{number}_{k}"
        parts.append(f"int {name}(struct list_head *list, const u32 *table, unsigned int count);\n")
        parts.append(FUNCTION.format(name=name, width=4 + k % 13, seed=number * 97 + k, odd=2 * k + 40503))
    return "".join(parts)


def add(folder, count):
    """Adds `count` files to the tree of kernel sources and its Kbuild, none of them for 0."""
    if not count:
        return
    objects = {}
    for module, share in SHARES.items():
        place = folder / module
        place.mkdir(exist_ok=True)
        objects[module] = [f"{module}/bulk{number}.o" for number in range(max(1, count * share // 100))]
        for number in range(len(objects[module])):
            (place / f"bulk{number}.c").write_text(text_of(module, number))
    lines = []
    for module in ("nvidia-modeset", "nvidia-drm", "nvidia-peermem"):
        (folder / module / "main.c").write_text(MAIN.format())
        objects[module].insert(0, f"{module}/main.o")
        lines.append(f"obj-m += $(filter-out $(addsuffix .o,$(NV_EXCLUDE_BUILD_MODULES)),{module}.o)\n")
    for module, names in objects.items():
        lines.append(f"{module}-y += {' '.join(names)}\n")
        lines.append(f"$(addprefix $(obj)/,{' '.join(names)}): $(NV_CONFTEST)\n")
    with open(folder / "Kbuild", "a", encoding="utf-8") as file:
        file.write("\n" + "".join(lines))
