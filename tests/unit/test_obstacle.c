/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/obstacle.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

static bool own_mounts; /* a mount namespace of our own: needs root */

static const struct os debian = { .id = "debian" };
static const struct os flatcar = { .id = "flatcar" };

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

/* The check of this name; NULL where nothing is in the way. */
static const char *refused_by(const struct obstacle_input *input, struct error *err)
{
	for (size_t i = 0; obstacle_name(i); i++) {
		*err = ERROR_INIT;
		if (obstacle_look(input, i, err) < 0)
			return obstacle_name(i);
	}
	return NULL;
}

static struct obstacle_input input_of(const struct sysroot *sysroot,
				      struct script *script, const struct gpu_list *gpus)
{
	return (struct obstacle_input){ .runner = &script->runner,
					.root = &sysroot->root,
					.gpus = gpus,
					.os = &debian,
					.packages = OBSTACLE_PACKAGES_ANY };
}

static void a_package_that_owns_a_part_of_a_driver_is_named(void **state)
{
	static const struct {
		const char *file, *tool, *answer, *names;
		bool own; /* the guest driver's package alone, which a newer one replaces
			   */
	} cases[] = {
		{ "/usr/bin/nvidia-smi", "rpm", "nvidia-linux-grid-550\n",
		  "nvidia-linux-grid-550", true },
		{ "/usr/bin/nvidia-smi", "rpm",
		  "nvidia-linux-grid-550\nnvidia-driver-cuda-libs\n",
		  "nvidia-driver-cuda-libs" },
		{ "/usr/bin/nvidia-smi", "dpkg-query",
		  "nvidia-utils-575: /usr/bin/nvidia-smi\n", "nvidia-utils-575" },
		{ "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "dpkg-query",
		  "libnvidia-compute-575:amd64: "
		  "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1\n",
		  "libnvidia-compute-575" },
		{ "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "dpkg-query",
		  "dpkg-query: no path found matching pattern /usr/bin/nvidia-smi\n"
		  "libcuda1:amd64, libcuda1:i386: "
		  "/usr/lib/x86_64-linux-gnu/libcuda.so.1\n",
		  "libcuda1" },
		{ "/usr/lib64/libcuda.so.1", "rpm",
		  "nvidia-driver-cuda-libs\nfile /usr/bin/x is not owned by any package\n",
		  "nvidia-driver-cuda-libs" },
		/* NVIDIA's own installer puts its files there, too: nobody owns them. */
		{ "/usr/bin/nvidia-smi", "rpm", "file /usr/bin/nvidia-smi is not owned\n",
		  NULL },
		{ "/usr/bin/nvidia-smi", "dpkg-query",
		  "dpkg-query: no path found matching pattern /usr/bin/nvidia-smi\n",
		  NULL },
		/* Libraries without their link, sources that DKMS takes at each kernel.
		 */
		{ "/usr/lib/x86_64-linux-gnu/libcuda.so.575.57.08", "dpkg-query",
		  "libnvidia-compute-575-server: "
		  "/usr/lib/x86_64-linux-gnu/libcuda.so.575.57.08\n",
		  "libnvidia-compute-575-server" },
		{ "/usr/lib/nvidia/current/nvidia-smi", "dpkg-query",
		  "nvidia-smi: /usr/lib/nvidia/current/nvidia-smi\n", "nvidia-smi" },
		{ "/usr/src/nvidia-575.57.08/dkms.conf", "dpkg-query",
		  "nvidia-dkms-575-open: /usr/src/nvidia-575.57.08/dkms.conf\n",
		  "nvidia-dkms-575-open" },
		{ "/usr/src/nvidia-550.90.07/dkms.conf", "rpm",
		  "kmod-nvidia-latest-dkms\n", "kmod-nvidia-latest-dkms" },
		{ "/usr/lib64/libnvidia-ml.so.575.57.08", "rpm",
		  "nvidia-driver-cuda-libs\n", "nvidia-driver-cuda-libs" },
		{ "/usr/lib/x86_64-linux-gnu/libnvidia-container.so.1", "dpkg-query",
		  "libnvidia-container1: /x\n", NULL },
		{ "/usr/local/cuda-12.8/compat/libcuda.so.575.57.08", "dpkg-query",
		  "cuda-compat-12-8: /x\n", NULL },
		{ "/usr/bin/nvtop", "dpkg-query", "nvtop: /usr/bin/nvtop\n", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = cases[i].tool, .output = cases[i].answer },
			{ 0 },
		};
		const struct gpu_list gpus = { .count = 0 };
		struct script script;
		struct obstacle_input input = input_of(*state, &script, &gpus);
		struct error err;
		char tool[64], *slash, dir[128];
		const char *check;

		script_init(&script, answers, NULL);
		(void)snprintf(dir, sizeof(dir), "%s", cases[i].file);
		slash = strrchr(dir, '/');
		*slash = '\0';
		sysroot_mkdir(*state, "/usr/bin");
		if (strcmp(dir, "/usr/bin") != 0)
			sysroot_mkdir(*state, dir);
		sysroot_write(*state, cases[i].file, "");
		(void)snprintf(tool, sizeof(tool), "/usr/bin/%s", cases[i].tool);
		add_program(*state, tool);

		check = refused_by(&input, &err);
		if (cases[i].names) {
			assert_string_equal(check, "packages");
			assert_int_equal(err.code, ERROR_INSTALL);
			assert_non_null(strstr(err.text, cases[i].names));
			assert_non_null(strstr(err.hint, cases[i].names));
			input.packages = OBSTACLE_PACKAGES_OTHERS;
			check = refused_by(&input, &err);
			assert_string_equal(cases[i].own ? "" : "packages",
					    check ? check : "");
			if (check)
				assert_null(strstr(err.text, "nvidia-linux-grid"));
			input.packages = OBSTACLE_PACKAGES_NONE;
		}
		assert_null(refused_by(&input, &err));
		(void)sysroot_teardown(state);
		(void)sysroot_setup(state);
	}
}

static void a_package_manager_that_does_not_answer_has_not_said_nobody(void **state)
{
	static const struct {
		const char *tool;
		struct script_answer end;
		bool answers;
	} cases[] = {
		{ "dpkg-query", { .status = 1 }, true },
		{ "dpkg-query",
		  { .status = 2, .output = "dpkg-query: error: x\n" },
		  false },
		{ "dpkg-query", { .signal = 9 }, false },
		{ "rpm", { .status = 3 }, true },
		{ "rpm", { .status = 127, .output = "rpm: librpm.so.9\n" }, false },
		{ "rpm", { .signal = 15, .timed_out = true }, false },
	};

	sysroot_mkdir(*state, "/usr/bin");
	sysroot_write(*state, "/usr/bin/nvidia-smi", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script_answer answers[] = { cases[i].end, { 0 } };
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		char names[128], tool[64];
		struct script script;

		answers[0].match = cases[i].tool;
		script_init(&script, answers, NULL);
		text_path(tool, sizeof(tool), "/usr/bin/%s", cases[i].tool);
		add_program(sysroot, tool);
		assert_int_equal(obstacle_owners(&script.runner, &sysroot->root, names,
						 sizeof(names), &err),
				 cases[i].answers ? 0 : -1);
		assert_string_equal(names, "");
		assert_int_equal(root_unlink(&sysroot->root, tool, &err), 0);
	}
}

static void what_switches_the_module_off_is_named_with_its_file(void **state)
{
	static const struct {
		const char *file, *text, *says;
	} cases[] = {
		{ "/etc/modprobe.d/blacklist-nvidia.conf", "alias nvidia off\n",
		  "/etc/modprobe.d/blacklist-nvidia.conf: alias nvidia off" },
		{ "/usr/lib/modprobe.d/x.conf", "# x\n  alias\tnvidia  off \n",
		  "/usr/lib/modprobe.d/x.conf" },
		{ "/run/modprobe.d/x.conf", "install nvidia /bin/false\n",
		  "/run/modprobe.d/x.conf" },
		{ "/etc/modprobe.d/x.conf", "install nvidia /usr/bin/true 2>&1\n",
		  "/etc/modprobe.d/x.conf" },
		{ "/proc/cmdline", "ro quiet module_blacklist=nouveau,nvidia splash\n",
		  "module_blacklist=nvidia" },
		{ "/etc/modprobe.d/x.conf", "install nvidia-uvm /bin/true\n",
		  "install nvidia-uvm /bin/true" },
		{ "/etc/modprobe.d/x.conf", "alias nvidia_uvm off\n",
		  "alias nvidia_uvm off" },
		{ "/proc/cmdline", "ro module_blacklist=nvidia_uvm\n",
		  "module_blacklist=nvidia_uvm" },
		/* Debian's alternatives, and what does not switch it off. */
		{ "/etc/modprobe.d/x.conf",
		  "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n", NULL },
		{ "/etc/modprobe.d/x.conf", "blacklist nvidia\n", NULL },
		{ "/etc/modprobe.d/x.conf", "alias nvidia-drm off\n", NULL },
		{ "/etc/modprobe.d/x.conf", "# alias nvidia off\n", NULL },
		{ "/etc/modprobe.d/x.disabled", "alias nvidia off\n", NULL },
		{ "/proc/cmdline", "module_blacklist=nouveau nvidia\n", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct script_answer answers[] = { { 0 } };
		const struct gpu_list gpus = { .count = 0 };
		struct script script;
		struct obstacle_input input = input_of(*state, &script, &gpus);
		struct error err;
		const char *check;

		script_init(&script, answers, NULL);
		sysroot_mkdir(*state, "/etc/modprobe.d");
		sysroot_mkdir(*state, "/run/modprobe.d");
		sysroot_mkdir(*state, "/usr/lib/modprobe.d");
		sysroot_mkdir(*state, "/proc");
		sysroot_write(*state, cases[i].file, cases[i].text);

		check = refused_by(&input, &err);
		if (!cases[i].says) {
			assert_null(check);
		} else {
			assert_string_equal(check, "modprobe");
			assert_int_equal(err.code, ERROR_INSTALL);
			assert_non_null(strstr(err.text, cases[i].says));
			input.offline = true;
			assert_null(refused_by(&input, &err));
		}
		(void)sysroot_teardown(state);
		(void)sysroot_setup(state);
	}
}

/* What the administrator puts in its place hides the distribution's file. */
static void a_hidden_file_counts_for_nothing(void **state)
{
	char where[128];
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/etc/modprobe.d");
	sysroot_mkdir(sysroot, "/usr/lib/modprobe.d");
	sysroot_write(sysroot, "/usr/lib/modprobe.d/x.conf", "alias nvidia off\n");
	obstacle_masked(&sysroot->root, where, sizeof(where));
	assert_string_equal(where, "/usr/lib/modprobe.d/x.conf: alias nvidia off");

	sysroot_write(sysroot, "/etc/modprobe.d/x.conf", "\n");
	obstacle_masked(&sysroot->root, where, sizeof(where));
	assert_string_equal(where, "");
}

static void only_gpus_that_are_all_kept_for_a_guest_are_in_the_way(void **state)
{
	static const struct {
		const char *first, *second;
		bool refused;
	} cases[] = { { "vfio-pci", "vfio-pci", true },
		      { "vfio-pci", "nvidia", false },
		      { "pci-stub", "pci-stub", true },
		      { "uio_pci_generic", "nvgrace_gpu_vfio_pci", true },
		      { "nvidia", "vfio-pci", false },
		      { "nouveau", "nouveau", false },
		      { "NovaCore", "NovaCore", false },
		      { "", "", false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct script_answer answers[] = { { 0 } };
		struct gpu_list gpus = { .count = 2 };
		struct script script;
		struct obstacle_input input = input_of(*state, &script, &gpus);
		struct error err;

		script_init(&script, answers, NULL);
		strcpy(gpus.gpus[0].address, "0000:06:00.0");
		strcpy(gpus.gpus[0].driver, cases[i].first);
		strcpy(gpus.gpus[1].driver, cases[i].second);
		assert_int_equal(refused_by(&input, &err) != NULL, cases[i].refused);
		if (cases[i].refused) {
			assert_non_null(strstr(err.text, cases[i].first));
			assert_non_null(strstr(err.hint, cases[i].first));
		}
	}
}

static void a_read_only_place_is_said_with_the_way_that_works_there(void **state)
{
	static const struct {
		const char *folder, *hint;
		const struct os *os;
		bool ostree;
	} cases[] = { { "/usr", "mount /usr", &debian, false },
		      { "/lib/modules", "mount /lib/modules", &debian, false },
		      { "/etc", "mount /etc", &debian, false },
		      { "/usr", "systemd-sysext", &flatcar, false },
		      { "/usr", "bootc", &debian, true } };

	if (!own_mounts)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct script_answer answers[] = { { 0 } };
		const struct sysroot *sysroot = *state;
		const struct gpu_list gpus = { .count = 0 };
		struct script script;
		struct obstacle_input input = input_of(sysroot, &script, &gpus);
		struct error err;
		char path[256];

		script_init(&script, answers, NULL);
		input.os = cases[i].os;
		sysroot_mkdir(sysroot, "/usr");
		sysroot_mkdir(sysroot, "/lib/modules");
		sysroot_mkdir(sysroot, "/etc");
		sysroot_mkdir(sysroot, "/run");
		if (cases[i].ostree)
			sysroot_write(sysroot, "/run/ostree-booted", "");
		assert_null(refused_by(&input, &err));

		(void)snprintf(path, sizeof(path), "%s%s", sysroot->dir, cases[i].folder);
		assert_int_equal(mount("tmpfs", path, "tmpfs", MS_RDONLY, NULL), 0);
		assert_string_equal(refused_by(&input, &err), "read_only");
		assert_int_equal(umount(path), 0);

		assert_int_equal(err.code, ERROR_PERMISSION);
		assert_non_null(strstr(err.text, cases[i].folder));
		assert_non_null(strstr(err.hint, cases[i].hint));
		(void)sysroot_teardown(state);
		(void)sysroot_setup(state);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	own_mounts = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;

	const struct CMUnitTest tests[] = {
		TEST(a_package_that_owns_a_part_of_a_driver_is_named),
		TEST(a_package_manager_that_does_not_answer_has_not_said_nobody),
		TEST(what_switches_the_module_off_is_named_with_its_file),
		TEST(a_hidden_file_counts_for_nothing),
		TEST(only_gpus_that_are_all_kept_for_a_guest_are_in_the_way),
		TEST(a_read_only_place_is_said_with_the_way_that_works_there),
	};

	return cmocka_run_group_tests_name("obstacle", tests, NULL, NULL);
}
