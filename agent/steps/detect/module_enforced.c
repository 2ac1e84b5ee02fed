/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_enforced.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"

#define EFI "/sys/firmware/efi"
#define SECURE_BOOT EFI "/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MOK_STATE EFI "/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
#define WORD_MAX 64
#define TEXT_MAX (1u << 20) /* a kernel's configuration has some 0.3 MiB */

static bool read_text(const struct root *root, const char *path, char **ret_text)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
	size_t size;

	return fd >= 0 && file_read_fd(fd, TEXT_MAX, ret_text, &size, &ignored) == 0;
}

/* "none [integrity] confidentiality": the one in brackets. */
static bool lockdown_of(const char *text, char *ret_word)
{
	const char *open = strchr(text, '[');
	const char *close = open ? strchr(open, ']') : NULL;

	return close && span_copy((struct span){ open + 1, (size_t)(close - open - 1) },
				  ret_word, WORD_MAX);
}

static struct module_enforced answer(enum module_answer answer, const char *evidence)
{
	struct module_enforced found = { .answer = answer };

	(void)text_copy(found.evidence, sizeof(found.evidence), evidence);
	return found;
}

/* What the kernel says now; unknown where it has neither of the two files. */
static struct module_enforced ask_kernel(const struct root *root)
{
	cleanup_free char *enforce = NULL, *lockdown = NULL;
	struct module_enforced found;
	char word[WORD_MAX] = "";

	if (read_text(root, "/sys/module/module/parameters/sig_enforce", &enforce) &&
	    enforce[0] == 'Y')
		return answer(MODULE_YES, "module.sig_enforce is on");
	if (read_text(root, "/sys/kernel/security/lockdown", &lockdown) &&
	    lockdown_of(lockdown, word) && strcmp(word, "none") != 0) {
		found = answer(MODULE_YES, "");
		(void)text_format(found.evidence, sizeof(found.evidence),
				  "lockdown is %s", word);
		return found;
	}
	if (word[0])
		return answer(MODULE_NO, "lockdown is none");
	return enforce ? answer(MODULE_NO, "module.sig_enforce is off")
		       : answer(MODULE_UNKNOWN, "");
}

static bool turns_on(struct span word)
{
	static const char *const words[] = {
		"module.sig_enforce",      "module.sig_enforce=1",
		"module.sig_enforce=y",    "module.sig_enforce=Y",
		"module.sig_enforce=on",   "lockdown=integrity",
		"lockdown=confidentiality"
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (span_equals(word, words[i]))
			return true;
	}
	return false;
}

static struct module_enforced ask_command_line(const struct root *root)
{
	struct module_enforced found = answer(MODULE_UNKNOWN, "");
	cleanup_free char *text = NULL;
	struct span rest, word, more;

	if (!read_text(root, "/proc/cmdline", &text))
		return found;
	for (rest = span_trim(span_of(text)); rest.len > 0; rest = span_trim(more)) {
		(void)span_split(rest, ' ', &word, &more);
		if (!turns_on(word))
			continue;
		found.answer = MODULE_YES;
		(void)text_format(found.evidence, sizeof(found.evidence),
				  "the kernel was started with %.*s", (int)word.len,
				  word.at);
	}
	return found;
}

/* Where signatures were not compiled in nothing can enforce them. */
static struct module_enforced ask_configuration(const struct root *root)
{
	cleanup_free char *release = NULL, *text = NULL;
	char path[160];

	if (!read_text(root, "/proc/sys/kernel/osrelease", &release) ||
	    !text_format(path, sizeof(path), "/boot/config-%.*s",
			 (int)strcspn(release, "\n"), release) ||
	    !read_text(root, path, &text))
		return answer(MODULE_UNKNOWN, "");
	if (strstr(text, "\nCONFIG_MODULE_SIG_FORCE=y\n"))
		return answer(MODULE_YES, "the kernel has CONFIG_MODULE_SIG_FORCE");
	return strstr(text, "\nCONFIG_MODULE_SIG=y\n")
		       ? answer(MODULE_UNKNOWN, "")
		       : answer(MODULE_NO, "the kernel has no CONFIG_MODULE_SIG");
}

/* A variable of one byte behind efivarfs's four of attributes (UEFI 2.10, 3.3). */
static bool read_variable(const struct root *root, const char *path, char *ret_value)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
	cleanup_free char *value = NULL;
	size_t size;

	if (fd < 0 || file_read_fd(fd, 64, &value, &size, &ignored) < 0 || size != 5)
		return false;
	*ret_value = value[4];
	return true;
}

/* shim tells the kernel by MokSBStateRT that it is not to validate (mokutil(1)). */
static struct module_enforced ask_firmware(const struct root *root)
{
	struct module_enforced on = answer(MODULE_YES, "Secure Boot is on");
	struct error ignored = ERROR_INIT;
	bool there;
	char value;

	if (root_exists(root, EFI, &there, &ignored) == 0 && !there)
		return answer(MODULE_NO, "no UEFI");
	if (!read_variable(root, SECURE_BOOT, &value))
		return answer(MODULE_UNKNOWN, "could not be read");
	if (value != 1)
		return answer(MODULE_NO, "Secure Boot is off");
	if (read_variable(root, MOK_STATE, &value) && value == 1)
		return answer(MODULE_NO, "shim's validation is off");
	on.secure_boot = true;
	return on;
}

struct module_enforced module_enforced(const struct root *root)
{
	static struct module_enforced (*const sources[])(const struct root *) = {
		ask_kernel, ask_command_line, ask_configuration, ask_firmware
	};
	struct module_enforced found = answer(MODULE_UNKNOWN, "");

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		found = sources[i](root);
		if (found.answer != MODULE_UNKNOWN)
			break;
	}
	found.secure_boot = found.answer == MODULE_YES && ask_firmware(root).secure_boot;
	return found;
}

int module_enforced_hint(const struct module_enforced *enforced, struct error *err)
{
	return error_hint(err,
			  "publish modules that build-modules has signed with a key that "
			  "this kernel trusts, or set signing.key and signing.cert to "
			  "such a key%s",
			  enforced->secure_boot
				  ? ", or turn Secure Boot off for this instance"
				  : "");
}
