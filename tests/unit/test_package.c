/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/package.h"

#include <string.h>

#include "support/cmocka.h"

static void guest_drivers_are_read_from_their_names(void **state)
{
	static const struct {
		const char *name;
		enum package_kind kind;
		const char *version, *host, *arch;
		bool cloud;
	} cases[] = {
		{ "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip",
		  PACKAGE_BUNDLE, "525.105.17", "525.105.14", "", false },
		{ "NVIDIA-GRID-Linux-KVM-535.129.03-537.70.zip", PACKAGE_BUNDLE,
		  "535.129.03", "535.129.03", "", false },
		{ "a/b/NVIDIA-GRID-Linux-KVM-470.63-470.63.01-471.68.zip", PACKAGE_BUNDLE,
		  "470.63.01", "470.63", "", false },
		{ "NVIDIA-GRID-RHEL-9.5-550.163.02-550.163.01-553.74.zip", PACKAGE_BUNDLE,
		  "550.163.01", "550.163.02", "", false },
		{ "NVIDIA-GRID-RHEL-7.5_410.107-410.107-412.31.zip", PACKAGE_BUNDLE,
		  "410.107", "410.107", "", false },
		{ "NVIDIA-GRID-RHEL-7.5_418.109-426.26.zip", PACKAGE_BUNDLE, "418.109",
		  "418.109", "", false },
		{ "NVIDIA-GRID-RHEL-8-510.85.03-510.85.02-513.46.zip", PACKAGE_BUNDLE,
		  "510.85.02", "510.85.03", "", false },
		{ "NVIDIA-GRID-Ubuntu-KVM-535.54.06-535.54.03-536.25.zip", PACKAGE_BUNDLE,
		  "535.54.03", "535.54.06", "", false },
		{ "NVIDIA-GRID-Ubuntu-22.04-535.54.06-535.54.03-536.25.zip",
		  PACKAGE_BUNDLE, "535.54.03", "535.54.06", "", false },
		{ "NVIDIA-GRID_Linux_KVM_535.54.06_535.54.03_536.25.zip", PACKAGE_BUNDLE,
		  "535.54.03", "535.54.06", "", false },
		{ "NVIDIA-Linux-x86_64-535.161.08-grid.run", PACKAGE_RUN, "535.161.08",
		  "", "x86_64", false },
		{ "NVIDIA-Linux-aarch64-535.161.08-grid.run", PACKAGE_RUN, "535.161.08",
		  "", "aarch64", false },
		{ "NVIDIA-Linux-x86_64-550.144.06-grid-azure.run", PACKAGE_RUN,
		  "550.144.06", "", "x86_64", true },
		{ "NVIDIA-Linux-x86_64-550.144.06-grid-aws.run", PACKAGE_RUN,
		  "550.144.06", "", "x86_64", true },
		{ "nvidia-linux-grid-525_525.105.17_amd64.deb", PACKAGE_DEB, "525.105.17",
		  "", "x86_64", false },
		{ "x/nvidia-linux-grid-525-525.105.17-1.x86_64.rpm", PACKAGE_RPM,
		  "525.105.17", "", "x86_64", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct package package;
		const char *why = "";

		if (!package_parse(span_of(cases[i].name), &package, &why))
			fail_msg("%s: %s", cases[i].name, why);
		assert_int_equal(package.kind, cases[i].kind);
		assert_string_equal(package.name, cases[i].name);
		assert_string_equal(package.version, cases[i].version);
		assert_string_equal(package.host_version, cases[i].host);
		assert_string_equal(package.arch, cases[i].arch);
		assert_int_equal(package.cloud, cases[i].cloud);
		assert_false(package.host_driver);
	}
}

static void everything_else_is_passed_over_with_a_reason(void **state)
{
	static const struct {
		const char *name, *why;
		bool host_driver;
	} cases[] = {
		{ "NVIDIA-Linux-x86_64-535.161.05-vgpu-kvm.run", "a host driver", true },
		{ "nvidia-vgpu-ubuntu-535_535.161.05_amd64.deb", "a host driver", true },
		{ "NVIDIA-vGPU-rhel-9.4-550.90.05.x86_64.rpm", "a host driver", true },
		{ "NVIDIA-Linux-x86_64-535.161.08.run", "a data-centre driver", false },
		{ "NVIDIA-Linux-x86_64-535.161.08-no-compat32.run", "a data-centre",
		  false },
		{ "NVIDIA-Linux-ppc64le-535.161.08-grid.run", "another architecture",
		  false },
		{ "NVIDIA-Linux-x86_64-535-grid.run", "no version", false },
		{ "NVIDIA-Linux-x86_64--grid.run", "no version", false },
		{ "NVIDIA-Linux-", "neither", false },
		{ "NVIDIA-Linux-.run", "another architecture", false },
		{ "xNVIDIA-Linux-x86_64-535.161.08-grid.run", "not a name", false },
		{ "nvidia-linux-grid-525_535.54.03_amd64.deb", "contradicts itself",
		  false },
		{ "nvidia-linux-grid-525_525_amd64.deb", "no version", false },
		{ "nvidia-linux-grid-525_525.105.17_riscv64.deb", "architecture", false },
		{ "nvidia-linux-grid-535-535.54.03.x86_64.rpm", "not a name", false },
		{ "NVIDIA-GRID-vSphere-7.0-525.105.14-525.105.17-528.89.zip",
		  "another hypervisor", false },
		{ "NVIDIA-GRID-XenServer-8-525.105.14-525.105.17-528.89.zip",
		  "another hypervisor", false },
		{ "NVIDIA-GRID-Azure_Local-570.158.01-573.36-573.39.zip",
		  "another hypervisor", false },
		{ "NVIDIA-GRID-Windows-570.158.01-573.39.zip", "another hypervisor",
		  false },
		{ "NVIDIA-GRID-Linux-KVM.zip", "two or three versions", false },
		{ "NVIDIA-GRID-Linux-KVM-528.89.zip", "two or three versions", false },
		{ "NVIDIA-GRID-Linux-KVM-525.1-525.1-525.1-525.1.zip", "hypervisor",
		  false },
		{ "nvgpu_NVIDIA-GRID-Linux-KVM-535.129.03-537.70.zip", "not a name",
		  false },
		{ "NVIDIA-GRID-Linux-KVM-535.129.03-537.70.zip.sha256", "neither",
		  false },
		{ ".zip", "not a name", false },
		{ "", "neither", false },
		{ "a/", "neither", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct package package;
		const char *why = NULL;

		if (package_parse(span_of(cases[i].name), &package, &why))
			fail_msg("%s was taken", cases[i].name);
		if (!why || !strstr(why, cases[i].why))
			fail_msg("%s: %s", cases[i].name, why);
		assert_int_equal(package.kind, PACKAGE_NONE);
		assert_int_equal(package.host_driver, cases[i].host_driver);
	}
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
	static const char tail[] = "/NVIDIA-Linux-x86_64-535.161.08-grid.run";
	char name[PACKAGE_NAME_MAX + sizeof(tail)];
	struct package package;
	const char *why = NULL;

	(void)state;
	memset(name, 'a', PACKAGE_NAME_MAX);
	strcpy(name + PACKAGE_NAME_MAX, tail);

	assert_false(package_parse(span_of(name), &package, &why));
	assert_non_null(strstr(why, "too long"));
}

static void kinds_have_names(void **state)
{
	(void)state;
	assert_string_equal(package_kind_name(PACKAGE_BUNDLE), "bundle");
	assert_string_equal(package_kind_name(PACKAGE_RUN), "run");
	assert_int_equal(package_kind_of(span_of("renamed.rpm")), PACKAGE_RPM);
	assert_int_equal(package_kind_of(span_of("renamed.tar")), PACKAGE_NONE);
}

static void a_hash_is_64_digits_of_either_case(void **state)
{
	static const char hash[] =
		"0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF";
	static const char *const others[] = {
		"",
		"0123456789abcdef",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		" 123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	};
	char sha256[PACKAGE_SHA256_SIZE] = "untouched";

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(package_sha256(span_of(others[i]), sha256));
	assert_string_equal(sha256, "untouched");
	assert_true(package_sha256(span_of(hash), sha256));
	assert_string_equal(
		sha256,
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_drivers_are_read_from_their_names),
		cmocka_unit_test(everything_else_is_passed_over_with_a_reason),
		cmocka_unit_test(a_name_that_does_not_fit_is_refused),
		cmocka_unit_test(kinds_have_names),
		cmocka_unit_test(a_hash_is_64_digits_of_either_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
