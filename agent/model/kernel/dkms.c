/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/dkms.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MARK "# Written by vgpu-guest-agent"

/*
 * DKMS reads it with bash, with the kernel in $kernelver. "make" is quoted because DKMS
 * would add KERNELRELEASE to a plain one, which tells the driver's Makefile that kbuild
 * calls it.
 */
static const char head[] = MARK
	" (driver.dkms = \"yes\"), which registers and removes it.\n"
	"PACKAGE_NAME=\"nvidia\"\n"
	"PACKAGE_VERSION=\"%s\"\n"
	"# The compiler that made the kernel, where it is here by that name.\n"
	"compiler=$(sed -n 's/^CONFIG_GCC_VERSION=\\([0-9]*\\)[0-9]\\{4\\}$/gcc-\\1/p' "
	"\"/lib/modules/$kernelver/build/include/config/auto.conf\" 2>/dev/null)\n"
	"compiler=${compiler:+$(command -v \"$compiler\")}\n"
	"MAKE[0]=\"'make' -C %s -j${parallel_jobs:-$(nproc)} KERNEL_UNAME=$kernelver "
	"IGNORE_CC_MISMATCH=1 ${compiler:+CC=$compiler }modules\"\n";

static char *add_module(const char *conf, size_t index, const char *name,
			const char *folder)
{
	return text_print("%sBUILT_MODULE_NAME[%zu]=\"%s\"\n"
			  "BUILT_MODULE_LOCATION[%zu]=\"%s\"\n"
			  "DEST_MODULE_LOCATION[%zu]=\"/updates/dkms\"\n",
			  conf, index, name, index, folder, index);
}

/* It becomes part of a shell's text. */
static bool is_module(const char *name)
{
	return text_starts(name, "nvidia") &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

char *dkms_conf(const char *version, const char *folder, char *const *names)
{
	/* The formats are ours, the words are of checked alphabets. */
	char *conf = text_print(head, version, folder);
	size_t count = 0;

	for (; conf && *names; names++) {
		char *longer;

		if (!is_module(*names))
			continue;
		longer = add_module(conf, count++, *names, folder);
		free(conf);
		conf = longer;
	}
	return conf;
}

bool dkms_conf_is_ours(struct span conf)
{
	return span_starts(conf, MARK);
}

/* "nvidia/570.86.15, 6.1.0-37-amd64, x86_64: installed"; before 3.0 "nvidia, 570.86.15,
 * ...". */
bool dkms_is_installed(struct span status, const char *version, const char *release)
{
	char new[160], old[160];
	struct span line, what, state;

	if (!text_format(new, sizeof(new), "nvidia/%s, %s, ", version, release) ||
	    !text_format(old, sizeof(old), "nvidia, %s, %s, ", version, release))
		return false;
	while (span_next_line(&status, &line)) {
		if ((span_starts(line, new) || span_starts(line, old)) &&
		    span_split(line, ':', &what, &state) &&
		    span_starts(span_trim(state), "installed"))
			return true;
	}
	return false;
}

bool dkms_signing(const char *key, const char *cert, char *ret_conf, size_t size)
{
	return !strpbrk(key, "'\n") && !strpbrk(cert, "'\n") &&
	       text_format(ret_conf, size,
			   MARK " (signing.key)\n"
				"mok_signing_key='%s'\n"
				"mok_certificate='%s'\n",
			   key, cert);
}

/* 'WORD', "WORD" or WORD, as a shell reads an assignment. */
static struct span unquote(struct span word)
{
	bool is_quoted = word.len >= 2 && (word.at[0] == '\'' || word.at[0] == '"') &&
			 word.at[word.len - 1] == word.at[0];

	return is_quoted ? (struct span){ word.at + 1, word.len - 2 } : word;
}

bool dkms_certificate(struct span conf, char *ret_path, size_t size)
{
	bool found = false;
	struct span line;

	while (span_next_line(&conf, &line)) {
		line = span_trim(line);
		if (!span_skip(&line, "mok_certificate="))
			continue;
		line = unquote(line);
		found = span_starts(line, "/") && span_copy(line, ret_path, size);
	}
	return found;
}
