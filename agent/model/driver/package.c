/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/package.h"

#include <ctype.h>
#include <string.h>

/* Releases of operating systems also look like versions; no driver is so old. */
#define DRIVER_BRANCH_MIN 300
#define BUNDLE_VERSIONS_MAX 3

static const struct {
	const char *suffix, *name;
} kinds[] = {
	[PACKAGE_NONE] = { NULL, "none" },       [PACKAGE_RUN] = { ".run", "run" },
	[PACKAGE_DEB] = { ".deb", "deb" },       [PACKAGE_RPM] = { ".rpm", "rpm" },
	[PACKAGE_BUNDLE] = { ".zip", "bundle" },
};

enum package_kind package_kind_of(struct span name)
{
	for (size_t i = PACKAGE_RUN; i < ARRAY_SIZE(kinds); i++) {
		if (span_ends(name, kinds[i].suffix))
			return (enum package_kind)i;
	}

	return PACKAGE_NONE;
}

const char *package_kind_name(enum package_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kinds) ? kinds[kind].name : "none";
}

enum package_kind package_kind_named(const char *name)
{
	for (size_t i = PACKAGE_RUN; name && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return (enum package_kind)i;
	}

	return PACKAGE_NONE;
}

/* Cuts `suffix` off the end; false and untouched when it is not there. */
static bool skip_back(struct span *span, const char *suffix)
{
	if (!span_ends(*span, suffix))
		return false;

	span->len -= strlen(suffix);
	return true;
}

static bool take_version(struct span text, char ret_version[static VERSION_MAX])
{
	return version_valid(text) && span_copy(text, ret_version, VERSION_MAX);
}

static bool read_arch(struct span text, struct package *package)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {
		{ "x86_64", "x86_64" },
		{ "amd64", "x86_64" },
		{ "aarch64", "aarch64" },
		{ "arm64", "aarch64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (span_equals(text, names[i].theirs))
			return span_copy(span_of(names[i].ours), package->arch,
					 sizeof(package->arch));
	}

	return false;
}

/* NVIDIA-Linux-<arch>-<version>-grid.run; returns what is wrong, or NULL. */
static const char *read_run(struct span name, struct package *package)
{
	struct span arch;

	if (!span_skip(&name, "NVIDIA-Linux-"))
		return "not a name that NVIDIA gives to a driver";
	if (skip_back(&name, "-vgpu-kvm.run")) {
		package->host_driver = true;
		return "a host driver";
	}

	package->cloud = skip_back(&name, "-grid-aws.run") ||
			 skip_back(&name, "-grid-azure.run");
	if (!span_split(name, '-', &arch, &name) || !read_arch(arch, package))
		return "for another architecture";
	if (package->cloud || skip_back(&name, "-grid.run"))
		return take_version(name, package->version) ? NULL
							    : "its name holds no version";

	return "a data-centre driver, not one for vGPU";
}

/* Both package formats repeat the branch in front of the version. */
static const char *read_branch_and_version(struct span branch, struct span version,
					   struct package *package)
{
	uint64_t number;

	if (!span_to_u64(branch, &number) || !take_version(version, package->version))
		return "its name holds no version";
	if (number != (uint64_t)version_branch(package->version))
		return "its name contradicts itself";
	return NULL;
}

/* nvidia-linux-grid-<branch>_<version>_<arch>.deb */
static const char *read_deb(struct span name, struct package *package)
{
	struct span branch, version, arch;

	if (span_starts(name, "nvidia-vgpu-")) {
		package->host_driver = true;
		return "a host driver";
	}
	if (!span_skip(&name, "nvidia-linux-grid-") || !skip_back(&name, ".deb") ||
	    !span_split(name, '_', &branch, &name) ||
	    !span_split(name, '_', &version, &arch))
		return "not a name that NVIDIA gives to a driver";
	if (!read_arch(arch, package))
		return "for another architecture";

	return read_branch_and_version(branch, version, package);
}

/* nvidia-linux-grid-<branch>-<version>-<release>.<arch>.rpm */
static const char *read_rpm(struct span name, struct package *package)
{
	struct span branch, version, release, arch;

	if (span_starts(name, "NVIDIA-vGPU-")) {
		package->host_driver = true;
		return "a host driver";
	}
	if (!span_skip(&name, "nvidia-linux-grid-") || !skip_back(&name, ".rpm") ||
	    !span_split(name, '-', &branch, &name) ||
	    !span_split(name, '-', &version, &name) ||
	    !span_split(name, '.', &release, &arch))
		return "not a name that NVIDIA gives to a driver";
	if (!read_arch(arch, package))
		return "for another architecture";

	return read_branch_and_version(branch, version, package);
}

/* Cuts the last word off, at '-' or '_': the two are mixed in real names. */
static struct span take_last_word(struct span *name)
{
	size_t start = name->len;
	struct span word;

	while (start > 0 && name->at[start - 1] != '-' && name->at[start - 1] != '_')
		start--;
	word = (struct span){ name->at + start, name->len - start };
	name->len = start > 0 ? start - 1 : 0;
	return word;
}

/* Linux-KVM, Ubuntu-KVM, Ubuntu-22.04, RHEL-9.5: elsewhere the versions are ordered
 * otherwise. */
static bool platform_is_ours(struct span platform)
{
	char text[32];

	if (!span_copy(platform, text, sizeof(text)))
		return false;
	for (char *c = text; *c; c++) {
		if (*c == '_')
			*c = '-';
	}

	return strcmp(text, "Linux-KVM") == 0 || strncmp(text, "Ubuntu-", 7) == 0 ||
	       strncmp(text, "RHEL-", 5) == 0;
}

/* NVIDIA-GRID-<platform>-[<host>-]<guest>-<windows>.zip */
static const char *read_bundle(struct span name, struct package *package)
{
	char versions[BUNDLE_VERSIONS_MAX][VERSION_MAX]; /* the last one first */
	struct span rest;
	size_t count = 0;

	if (!span_skip(&name, "NVIDIA-GRID-") && !span_skip(&name, "NVIDIA-GRID_"))
		return "not a name that NVIDIA gives to a bundle";
	(void)skip_back(&name, ".zip");

	for (rest = name; count < BUNDLE_VERSIONS_MAX; count++) {
		struct span before = rest;
		struct span word = take_last_word(&rest);

		if (!take_version(word, versions[count]) ||
		    version_branch(versions[count]) < DRIVER_BRANCH_MIN) {
			rest = before;
			break;
		}
	}

	if (!platform_is_ours(rest))
		return "a bundle for another hypervisor";
	if (count < 2)
		return "its name does not hold two or three versions";

	memcpy(package->version, versions[1], VERSION_MAX);
	memcpy(package->host_version, versions[count - 1], VERSION_MAX);
	return NULL;
}

bool package_parse(struct span name, struct package *ret_package, const char **ret_why)
{
	struct package package = { .kind = package_kind_of(name) };
	struct span file = span_base_name(name);
	const char *why = NULL;

	if (!span_copy(name, package.name, sizeof(package.name)))
		why = "its name is too long";
	else if (package.kind == PACKAGE_RUN)
		why = read_run(file, &package);
	else if (package.kind == PACKAGE_DEB)
		why = read_deb(file, &package);
	else if (package.kind == PACKAGE_RPM)
		why = read_rpm(file, &package);
	else if (package.kind == PACKAGE_BUNDLE)
		why = read_bundle(file, &package);
	else
		why = "neither .zip nor .run, .deb or .rpm";

	if (why) {
		package.kind = PACKAGE_NONE;
		package.version[0] = '\0';
		*ret_why = why;
	}
	*ret_package = package;
	return !why;
}

bool package_sha256(struct span hex, char ret_sha256[static PACKAGE_SHA256_SIZE])
{
	if (hex.len != PACKAGE_SHA256_SIZE - 1)
		return false;
	for (size_t i = 0; i < hex.len; i++) {
		if (!isxdigit((unsigned char)hex.at[i]))
			return false;
	}

	for (size_t i = 0; i < hex.len; i++)
		ret_sha256[i] = (char)tolower((unsigned char)hex.at[i]);
	ret_sha256[hex.len] = '\0';
	return true;
}
