/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_trusted.h"

#include <fcntl.h>

#include "base/file.h"
#include "model/kernel/keyring.h"

#define KEYS_MAX (4u << 20) /* a dbx of the firmware's makes a line of each hash */

enum module_answer module_trusted(const struct root *root, const char *key_id)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, "/proc/keys", O_RDONLY, 0, &ignored);
	cleanup_free char *text = NULL;
	struct span keys;
	size_t size;

	if (fd < 0 || file_read_fd(fd, KEYS_MAX, &text, &size, &ignored) < 0)
		return MODULE_UNKNOWN;
	keys = (struct span){ text, size };
	if (!keyring_is_shown(keys))
		return MODULE_UNKNOWN;
	return keyring_has(keys, key_id) ? MODULE_YES : MODULE_NO;
}
