/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/family.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define RHEL_HEADERS "kernel-devel-uname-r = %K"
#define ELF "elfutils-libelf-devel"

/* Special kernels before the family's other ones. docs/distributions.md says which line
 * was run. */
/* clang-format off */
static const struct family families[] = {
	{ "debian ubuntu", "-pve", "apt-get", "proxmox-headers-%K|pve-headers-%K", "", "gcc-%N", "clang-%N", "lld-%N", "libc6-dev" },
	{ "debian ubuntu", "", "apt-get", "linux-headers-%K", "", "gcc-%N", "clang-%N", "lld-%N", "libc6-dev" },
	{ "ol", "uek", "dnf", "kernel-uek-devel-uname-r = %K|kernel-uek-devel-%K", ELF, "gcc-toolset-%N-gcc|gcc", "clang", "lld", "glibc-devel" },
	{ "amzn", "", "dnf", RHEL_HEADERS "|kernel%M-devel-%K", ELF, "gcc|gcc%N", "clang", "lld", "glibc-devel" },
	{ "rhel fedora centos rocky almalinux ol anolis", "", "dnf", RHEL_HEADERS, ELF, "gcc|gcc-toolset-%N-gcc", "clang", "lld", "glibc-devel" },
	{ "openEuler tencentos kylin opencloudos", "", "dnf", "kernel-devel-%K", ELF, "gcc|gcc-toolset-%N-gcc", "clang", "lld", "glibc-devel" },
	{ "suse opensuse sles sled opensuse-leap opensuse-tumbleweed", "", "zypper", "kernel-%F-devel-%V", "libelf-devel", "gcc%N|gcc", "clang", "lld", "glibc-devel" },
	{ "azurelinux mariner", "", "tdnf", "kernel-devel-%K", ELF, "gcc|gcc-%N", "clang", "lld", "glibc-devel" },
	{ "photon", "-esx", "tdnf", "linux-%F-devel-%V", ELF, "gcc", "clang", "lld", "glibc-devel" },
	{ "photon", "-rt", "tdnf", "linux-%F-devel-%V", ELF, "gcc", "clang", "lld", "glibc-devel" },
	{ "photon", "-aws", "tdnf", "linux-%F-devel-%V", ELF, "gcc", "clang", "lld", "glibc-devel" },
	{ "photon", "-secure", "tdnf", "linux-%F-devel-%V", ELF, "gcc", "clang", "lld", "glibc-devel" },
	{ "photon", "", "tdnf", "linux-devel-%K", ELF, "gcc", "clang", "lld", "glibc-devel" },
};
/* clang-format on */

static bool has_word(const char *words, struct span word)
{
	struct span rest = span_of(words);

	while (rest.len > 0) {
		struct span one, tail = { "", 0 };

		(void)span_split(rest, ' ', &one, &tail);
		if (one.len == word.len && word.len > 0 &&
		    strncasecmp(one.at, word.at, word.len) == 0)
			return true;
		rest = tail;
	}
	return false;
}

static const struct family *find_id(struct span id, const char *release)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (has_word(families[i].ids, id) && strstr(release, families[i].release))
			return &families[i];
	}
	return NULL;
}

const struct family *family_find(const struct os *os, const char *release)
{
	const struct family *family = find_id(span_of(os->id), release);
	struct span rest = span_of(os->id_like);

	while (!family && rest.len > 0) {
		struct span word, tail = { "", 0 };

		(void)span_split(rest, ' ', &word, &tail);
		family = find_id(word, release);
		rest = tail;
	}
	return family;
}

const struct family *family_of_manager(const char *manager)
{
	bool deb = strcmp(manager, "apt-get") == 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (!families[i].release[0] && strcmp(families[i].manager, manager) == 0)
			return &families[i];
	}
	/* Of the many that read rpm's packages: as dnf calls them. */
	return deb || strcmp(manager, "dnf") == 0 ? NULL : family_of_manager("dnf");
}

enum package_kind family_package_kind(const struct os *os)
{
	const struct family *family = family_find(os, "");

	if (!family)
		return PACKAGE_NONE;
	return strcmp(family->manager, "apt-get") == 0 ? PACKAGE_DEB : PACKAGE_RPM;
}

/* "6.4.0-150600.23-default": the last word where it has no digit; else nothing. */
static struct span flavour_of(const char *release)
{
	const char *dash = strrchr(release, '-');

	if (!dash || !dash[1])
		return (struct span){ "", 0 };
	for (const char *c = dash + 1; *c; c++) {
		if (!isalpha((unsigned char)*c))
			return (struct span){ "", 0 };
	}
	return span_of(dash + 1);
}

/* The value of one letter; false: not known of this kernel. */
static bool value_of(char letter, const struct kernel *kernel, char *ret_value,
		     size_t size)
{
	struct span release = span_of(kernel->release);
	struct span flavour = flavour_of(kernel->release);
	const char *dot = strchr(kernel->release, '.');

	switch (letter) {
	case 'K':
		return span_copy(release, ret_value, size);
	case 'V':
		release.len -= flavour.len > 0 ? flavour.len + 1 : 0;
		return span_copy(release, ret_value, size);
	case 'F':
		return span_copy(flavour.len > 0 ? flavour : span_of("default"),
				 ret_value, size);
	case 'M':
		if (!dot)
			return false;
		for (dot++; isdigit((unsigned char)*dot); dot++)
			;
		release.len = (size_t)(dot - release.at);
		return release.len > 0 && span_copy(release, ret_value, size);
	case 'N':
		return kernel->compiler_major > 0 &&
		       text_format(ret_value, size, "%d", kernel->compiler_major);
	default:
		return false;
	}
}

static bool find_alternative(const char *pattern, size_t index, struct span *ret_one)
{
	struct span rest = span_of(pattern), tail = { "", 0 };

	for (size_t i = 0;; i++) {
		bool more = span_split(rest, '|', ret_one, &tail);

		if (i == index)
			return true;
		if (!more)
			return false;
		rest = tail;
	}
}

bool family_expand(const char *pattern, size_t index, const struct kernel *kernel,
		   char *ret_name, size_t size)
{
	struct span one;
	size_t used = 0;

	if (!find_alternative(pattern, index, &one))
		return false;
	ret_name[0] = '\0';
	for (size_t i = 0; i < one.len; i++) {
		char value[KERNEL_RELEASE_MAX] = { one.at[i], '\0' };

		if (one.at[i] == '%' &&
		    (++i == one.len ||
		     !value_of(one.at[i], kernel, value, sizeof(value))))
			return false;
		if (!text_format(ret_name + used, size - used, "%s", value))
			return false;
		used = strlen(ret_name);
	}
	return true;
}

size_t family_alternatives(const char *pattern)
{
	struct span ignored;
	size_t count = 0;

	while (find_alternative(pattern, count, &ignored))
		count++;
	return count;
}

static bool is_package_word(struct span word)
{
	if (word.len == 0 || word.at[0] == '-' || word.at[0] == '.')
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (!isalnum((unsigned char)word.at[i]) &&
		    (word.at[i] == '\0' || !strchr("._+~-", word.at[i])))
			return false;
	}
	return true;
}

bool family_headers_of(struct span answer, char *ret_name, size_t size)
{
	struct span line = { "", 0 }, name, version;
	char base[96];

	(void)span_next_line(&answer, &line);
	if (!span_split(span_trim(line), ' ', &name, &version))
		return false;
	if (span_ends(name, "-core"))
		name.len -= strlen("-core");
	return is_package_word(name) && is_package_word(version) &&
	       span_copy(name, base, sizeof(base)) &&
	       text_format(ret_name, size, "%s-devel-%.*s", base, (int)version.len,
			   version.at);
}
