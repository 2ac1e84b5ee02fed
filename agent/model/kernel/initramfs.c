/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/initramfs.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "model/paths.h"

#define MACHINE_ID_DIGITS 32
#define SHA1_DIGITS 40

/*
 * A generic dracut takes no notice of modprobe.d: what is to stay out is said to it, and
 * the blacklist goes in, because its add_drivers wins over what is left out. It takes its
 * options in any place.
 */
#define UKI ".efi"

static const struct initramfs_tool tools[] = {
	{ "initrd.img-", "lsinitramfs", "update-initramfs", { "-u", "-k", "%K" } },
	{ "",
	  "lsinitrd",
	  "dracut",
	  { "--force", "%I", "%K", "--omit-drivers", "nouveau nova_core nova_drm",
	    "--install", "%B" } },
	{ "", "lsinitcpio", "mkinitcpio", { "-k", "%K", "-g", "%I" } },
	/* A kernel and its initramfs in one: an initramfs alone must not replace it. */
	{ UKI, "lsinitrd", NULL, { NULL } },
};

static const struct {
	const char *prefix, *suffix;
} names[] = {
	{ "initrd.img-", "" }, /* Debian, Ubuntu, by either program */
	{ "initramfs-",
	  ".img" },        /* the RHEL family; mkinitcpio's with a package's name */
	{ "initrd-", "" }, /* SUSE */
};

const struct initramfs_tool *initramfs_tool(size_t index, const char *path)
{
	bool uki = text_ends(path, UKI);

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		bool fits = uki ? !tools[i].make
				: tools[i].make && text_starts(text_base_name(path),
							       tools[i].prefix);

		if (fits && index-- == 0)
			return &tools[i];
	}
	return NULL;
}

void initramfs_argv(const struct initramfs_tool *tool, const char *program,
		    const char *path, const char *release,
		    const char *ret_argv[static INITRAMFS_ARGV_MAX])
{
	size_t count = 0;

	ret_argv[count++] = program;
	for (size_t i = 0; i < INITRAMFS_WORDS_MAX && tool->words[i]; i++) {
		if (strcmp(tool->words[i], "%I") == 0)
			ret_argv[count++] = path;
		else if (strcmp(tool->words[i], "%K") == 0)
			ret_argv[count++] = release;
		else if (strcmp(tool->words[i], "%B") == 0)
			ret_argv[count++] = PATHS_BLACKLIST;
		else
			ret_argv[count++] = tool->words[i];
	}
	ret_argv[count] = NULL;
}

/* That many hexadecimal digits and nothing else. */
static bool is_hex(struct span word, size_t digits)
{
	for (size_t i = 0; i < word.len; i++) {
		if (!isxdigit((unsigned char)word.at[i]))
			return false;
	}
	return word.len == digits;
}

/* "MACHINE-ID-REL.efi", as kernel-install calls a unified kernel image. */
static bool read_unified(const char *path, char *ret_release, size_t size)
{
	struct span name = span_of(text_base_name(path)), id, release;

	if (!span_ends(name, UKI) || !span_split(name, '-', &id, &release) ||
	    !is_hex(id, MACHINE_ID_DIGITS))
		return false;
	release.len -= strlen(UKI);
	return span_copy(release, ret_release, size);
}

/* Of openSUSE's systemd-boot the checksum is a part of the name. */
static bool is_initrd(const char *base)
{
	struct span name = span_of(base);

	return span_equals(name, "initrd") ||
	       (span_skip(&name, "initrd-") && is_hex(name, SHA1_DIGITS));
}

/* ".../ID/REL/initrd", as the boot loader specification has it. */
static bool read_folder(const char *path, char *ret_release, size_t size)
{
	const char *base = text_base_name(path), *start;
	size_t len = (size_t)(base - path);

	if (!is_initrd(base) || len < 2)
		return false;
	start = base - 1;
	while (start > path && start[-1] != '/')
		start--;
	return span_copy((struct span){ start, (size_t)(base - 1 - start) }, ret_release,
			 size);
}

bool initramfs_release(const char *path, char *ret_release, size_t size)
{
	if (read_folder(path, ret_release, size) || read_unified(path, ret_release, size))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct span name = span_of(text_base_name(path));

		if (!span_skip(&name, names[i].prefix) ||
		    !span_ends(name, names[i].suffix))
			continue;
		name.len -= strlen(names[i].suffix);
		return name.len > 0 && span_copy(name, ret_release, size);
	}
	return false;
}

/* "-rw-r--r-- 1 root root 8 Nov 30 21:37 usr/lib/x" or "usr/lib/x": the path. */
static struct span path_of(struct span line)
{
	struct span path = span_trim(line);
	const char *blank = path.len ? memrchr(path.at, ' ', path.len) : NULL;

	if (blank)
		path = (struct span){ blank + 1,
				      path.len - (size_t)(blank + 1 - path.at) };
	(void)span_skip(&path, "./");
	(void)span_skip(&path, "/");
	return path;
}

/* "…/nvidia-drm.ko.xz" -> "nvidia_drm"; false: it is no module. */
static bool module_of(struct span path, char *ret_name, size_t size)
{
	const char *slash = path.len ? memrchr(path.at, '/', path.len) : NULL;
	struct span base = path, name, rest;

	if (slash)
		base = (struct span){ slash + 1,
				      path.len - (size_t)(slash + 1 - path.at) };
	if (!span_split(base, '.', &name, &rest) ||
	    (!span_equals(rest, "ko") && !span_starts(rest, "ko.")) ||
	    !span_copy(name, ret_name, size))
		return false;
	for (char *c = ret_name; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	return true;
}

static void take_module(struct span path, const char *name,
			struct initramfs_content *content)
{
	static const char *const foreign[] = { "nouveau", "nova", "nova_core",
					       "nova_drm" };
	static const char modules[] = "lib/modules/";
	const char *start;

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		if (strcmp(name, foreign[i]) == 0)
			(void)text_copy(content->foreign, sizeof(content->foreign), name);
	}
	if (strcmp(name, "nvidia") != 0)
		return;
	start = memmem(path.at, path.len, modules, strlen(modules));
	if (start)
		(void)text_format(content->nvidia, sizeof(content->nvidia), "/%.*s",
				  (int)(path.len - (size_t)(start - path.at)), start);
}

bool initramfs_read(struct span listing, struct initramfs_content *ret_content)
{
	struct initramfs_content content = { .foreign = "" };
	bool any = false;
	struct span line;

	while (span_next_line(&listing, &line)) {
		struct span path = path_of(line);
		char name[64];

		any |= path.len > 0 && memchr(path.at, '/', path.len) != NULL;
		if (span_equals(path, &PATHS_BLACKLIST[1]))
			content.blacklist = true;
		else if (module_of(path, name, sizeof(name)))
			take_module(path, name, &content);
	}
	*ret_content = content;
	return any;
}
