/* wrap: gridd_log_read gridd_log_expiry */
/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/findings.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/license/gridd_log.h"
#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/smi_report.h"
#include "support/stage.h"

#define LICENSED "Licensed (Expiry: N/A)"
#define KERNEL "6.1.0-37-cloud-amd64"
#define OTHER_KERNEL "6.1.0-36-cloud-amd64"
#define MINE PATHS_TOKENS "/mine.tok"
#define EFI "/sys/firmware/efi/efivars"
#define SECURE_BOOT EFI "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* Answers both jobs: what is wrong with the token, and what the servers do. */
#define WORKER(problems, servers)                                                        \
	"case $request in\n"                                                             \
	"*'\"job\":\"token\"'*) echo '{\"result\":{\"problems\":[" problems              \
	"],\"servers\":[{\"host\":\"dls\",\"port\":443}],\"not_before\":"                \
	"\"2020-01-02T03:04:05Z\",\"expires\":\"2030-01-02T03:04:05Z\"}}' >&3;;\n"       \
	"*'\"job\":\"probe\"'*) echo '{\"result\":{\"servers\":[" servers "]}}' >&3;;\n" \
	"esac"
#define OPEN "{\"host\":\"dls\",\"port\":443,\"outcome\":\"open\",\"offset\":-7}"

/* What nvidia-gridd's journal tells. */
static struct license_reason complaint;
static int64_t expiry;
static bool reading_fails, expiry_fails;
__typeof__(gridd_log_read) __wrap_gridd_log_read;
__typeof__(gridd_log_expiry) __wrap_gridd_log_expiry;

int __wrap_gridd_log_read(int64_t since, struct license_reason *ret_reason,
			  struct error *err)
{
	(void)since;
	*ret_reason = complaint;
	return reading_fails ? error_set_errno(err, EIO, "reading") : 0;
}

int __wrap_gridd_log_expiry(int64_t since, int64_t *ret_expiry, struct error *err)
{
	(void)since;
	*ret_expiry = expiry;
	return expiry_fails ? error_set_errno(err, EIO, "reading") : 0;
}

struct scene {
	struct stage stage;
	struct script script;
	struct script_answer answers[8];
	char *said; /* by nvidia-smi */
	struct fake_systemd fake;
	struct guest guest;
	struct license_report report;
	struct doctor_facts facts;
	struct doctor_notes notes;
	struct error err;
};

/* A guest with a vGPU and all that it needs; the driver says this of it, or nothing. */
static void prepare(const struct sysroot *sysroot, struct scene *scene,
		    const char *status)
{
	memset(scene, 0, sizeof(*scene));
	complaint = (struct license_reason){ 0 };
	expiry = 0;
	reading_fails = expiry_fails = false;
	stage_set(&scene->stage, sysroot);
	stage_add_program(sysroot, PATHS_SMI, "");
	stage_add_program(sysroot, "/usr/sbin/modinfo", "");
	stage_set_worker(&scene->stage, sysroot, WORKER("", OPEN));
	sysroot_write(sysroot, MINE, "eyJhbGciOiJSUzI1NiJ9.mine.sig");
	sysroot_write(sysroot, PATHS_GRIDD_CONF, "FeatureType=1\n");

	scene->said = smi_report_vgpus(1, 1, status ? status : LICENSED);
	scene->answers[0] = (struct script_answer){
		.match = "nvidia-smi -q",
		.output = status ? scene->said : "no devices were found\n",
		.status = status ? 0 : 6,
	};
	scene->answers[1] = (struct script_answer){
		.match = "modinfo -k " KERNEL " -F vermagic",
		.output = KERNEL " SMP preempt\n",
	};
	scene->answers[2] = (struct script_answer){
		.match = "modinfo -k " KERNEL " -F signer",
		.output = "",
	};
	script_init(&scene->script, scene->answers, NULL);
	scene->stage.ctx.runner = &scene->script.runner;
	scene->fake = FAKE_SYSTEMD_INIT;
	scene->fake.started = UINT64_C(9000000000000000);

	scene->guest.gpus.count = 1;
	scene->guest.gpus.gpus[0].kind = GPU_VGPU;
	strcpy(scene->guest.gpus.gpus[0].address, "0000:06:00.0");
	strcpy(scene->guest.gpus.gpus[0].driver, "nvidia");
	strcpy(scene->guest.host.version, "550.90.05");
	scene->guest.kernels.count = 2;
	strcpy(scene->guest.kernels.kernels[0].release, OTHER_KERNEL);
	strcpy(scene->guest.kernels.kernels[1].release, KERNEL);
	scene->guest.kernels.kernels[1].running = true;
	strcpy(scene->guest.installed.version, "550.90.07");
	strcpy(scene->guest.installed.loaded, "550.90.07");
	scene->guest.installed.grid = scene->guest.installed.tools = true;
}

static void scene_done(struct scene *scene)
{
	free(scene->said);
}

static int gather(struct scene *scene)
{
	int result;

	fake_systemd_start(&scene->fake);
	result = findings_gather(&scene->stage.ctx, &scene->guest, &scene->report,
				 &scene->facts, &scene->notes, &scene->err);
	fake_systemd_stop(&scene->fake);
	return result;
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_TOKENS, 0755, &err), 0);
	return 0;
}

static void who_holds_the_gpu_is_named_by_its_address(void **state)
{
	static const struct {
		const char *driver, *nouveau, *nova;
	} cases[] = {
		{ "nvidia", "", "" },
		{ "", "", "" },
		{ "nouveau", "0000:06:00.0", "" },
		{ "nova_core", "", "0000:06:00.0" },
		{ "NovaCore", "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		strcpy(scene.guest.gpus.gpus[0].driver, cases[i].driver);
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.nouveau, cases[i].nouveau);
		assert_string_equal(scene.facts.nova, cases[i].nova);
		assert_string_equal(scene.facts.host, "550.90.05");
	}
}

static void without_a_gpu_neither_driver_nor_daemon_is_asked(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	scene.guest.gpus.count = 0;
	assert_int_equal(gather(&scene), 0);

	assert_int_equal(script_count(&scene.script, "nvidia-smi"), 0);
	assert_string_equal(scene.fake.calls, "");
	assert_int_equal(scene.facts.unit_exists, DOCTOR_UNKNOWN);
	assert_int_equal(scene.facts.token, DOCTOR_TOKEN_UNASKED);
	assert_string_equal(scene.facts.vermagic, KERNEL);
}

static void the_module_is_the_one_that_the_running_kernel_would_load(void **state)
{
	static const struct {
		const char *vermagic, *signer, *read;
		enum doctor_answer is_signed;
	} cases[] = {
		{ KERNEL " SMP\n", "", KERNEL, DOCTOR_NO },
		{ OTHER_KERNEL " SMP\n", "DKMS key\n", OTHER_KERNEL, DOCTOR_YES },
		{ "", "", "", DOCTOR_NO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		scene.answers[1].output = cases[i].vermagic;
		scene.answers[2].output = cases[i].signer;
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.release, KERNEL);
		assert_string_equal(scene.facts.vermagic, cases[i].read);
		assert_int_equal(scene.facts.is_signed, cases[i].is_signed);
		assert_int_equal(script_count(&scene.script, OTHER_KERNEL " -F"), 0);
	}
}

static void where_it_has_none_the_other_kernels_are_asked(void **state)
{
	static const struct {
		const char *vermagic, *other;
	} cases[] = { { OTHER_KERNEL " SMP\n", OTHER_KERNEL }, { "", "" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		scene.guest.installed.version[0] = '\0';
		scene.answers[3] = (struct script_answer){
			.match = OTHER_KERNEL " -F vermagic",
			.output = cases[i].vermagic,
		};
		scene.answers[4] =
			(struct script_answer){ .match = OTHER_KERNEL " -F signer" };
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.other_kernel, cases[i].other);
	}
}

static void of_a_kernel_that_is_not_known_no_module_is_looked_for(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	scene.guest.kernels.kernels[1].running = false;
	assert_int_equal(gather(&scene), 0);

	assert_int_equal(script_count(&scene.script, "modinfo"), 0);
	assert_string_equal(scene.facts.release, "");
	assert_int_equal(scene.facts.is_signed, DOCTOR_UNKNOWN);
}

static void secure_boot_is_what_the_firmware_says(void **state)
{
	static const struct {
		const char *bytes; /* NULL: no firmware of this kind */
		size_t size;
		enum doctor_answer answer;
	} cases[] = {
		{ NULL, 0, DOCTOR_NO },
		{ "\6\0\0\0\0", 5, DOCTOR_NO },
		{ "\6\0\0\0\1", 5, DOCTOR_YES },
		{ "\6\0\0\0", 4, DOCTOR_UNKNOWN },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		struct error err = ERROR_INIT;

		prepare(sysroot, &scene, LICENSED);
		if (cases[i].bytes) {
			assert_int_equal(root_mkdir(&sysroot->root, EFI, 0755, &err), 0);
			assert_int_equal(file_write_atomic(&sysroot->root, SECURE_BOOT,
							   cases[i].bytes, cases[i].size,
							   0644, &err),
					 0);
		}
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.enforced, cases[i].answer);
		assert_int_equal(scene.facts.secure_boot, cases[i].answer == DOCTOR_YES);
	}
}

/* The signer is known where it is signing.cert or DKMS; only then the kernel's list of
 * keys decides. */
static void who_signed_the_module_is_compared_with_the_kernels_keys(void **state)
{
	static const struct {
		const char *cert, *id, *signs, *loaded, *signer;
		enum doctor_answer trusted;
	} cases[] = {
		{ "/etc/cert.pem", "ab01", "true", "", "Acme, key id ab01", DOCTOR_YES },
		{ "/etc/cert.pem", "ab02", "true", "", "Acme, key id ab02", DOCTOR_NO },
		{ "/var/lib/dkms/mok.pub", "ab02", "true", "", "Acme, key id ab02",
		  DOCTOR_NO },
		{ "/etc/cert.pem", "ab02", "false", "", "", DOCTOR_UNKNOWN },
		{ "/etc/cert.pem", "ab02", "true", "550.90.07", "", DOCTOR_UNKNOWN },
		{ "", "ab02", "true", "", "", DOCTOR_UNKNOWN },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		struct error err = ERROR_INIT;
		char answer[512];

		prepare(sysroot, &scene, LICENSED);
		(void)snprintf(
			answer, sizeof(answer),
			"case $request in *certificate*) echo "
			"'{\"result\":{\"key_id\":\"%s\",\"name\":\"Acme\",\"kind\":"
			"\"RSA\",\"signs\":%s}}' >&3;; esac",
			cases[i].id, cases[i].signs);
		stage_set_worker(&scene.stage, sysroot, answer);
		assert_int_equal(
			root_mkdir(&sysroot->root, "/sys/kernel/security", 0755, &err),
			0);
		assert_int_equal(root_mkdir(&sysroot->root, "/var/lib/dkms", 0755, &err),
				 0);
		assert_int_equal(root_mkdir(&sysroot->root, "/proc", 0755, &err), 0);
		sysroot_write(sysroot, "/sys/kernel/security/lockdown",
			      "none [integrity] confidentiality\n");
		sysroot_write(
			sysroot, "/proc/keys",
			"0035c522 I------     1 perm 1f030000     0     0 asymmetri "
			"x: ab01: X509.rsa ab01 []\n");
		sysroot_write(sysroot, "/nvidia.ko", "module");
		if (cases[i].cert[0])
			sysroot_write(sysroot, cases[i].cert, "certificate");
		if (text_starts(cases[i].cert, "/etc/"))
			strcpy(scene.stage.ctx.settings.signing.cert, cases[i].cert);
		strcpy(scene.guest.installed.loaded, cases[i].loaded);
		scene.answers[2].output = "Acme\n";
		scene.answers[3] = (struct script_answer){ .match = "-F filename",
							   .output = "/nvidia.ko\n" };
		assert_int_equal(gather(&scene), 0);
		if (cases[i].cert[0])
			assert_int_equal(root_unlink(&sysroot->root, cases[i].cert, &err),
					 0);

		if (scene.facts.is_trusted != cases[i].trusted ||
		    strcmp(scene.facts.signer, cases[i].signer) != 0)
			fail_msg("case %zu: %d %s", i, scene.facts.is_trusted,
				 scene.facts.signer);
	}
}

/* Of guests with one GPU on the bus, or with two of which the driver shows one. */
static void what_the_driver_says_of_its_gpus_counts(void **state)
{
	static const struct {
		const char *status; /* NULL: it says nothing */
		size_t gpus;
		bool answers, words, licensed;
		const char *error;
	} cases[] = {
		{ LICENSED, 1, true, false, true, "" },
		{ "Unlicensed (Restricted)", 1, true, false, false, "" },
		{ LICENSED, 2, false, false, false,
		  "nvidia-smi shows 1 of the 2 GPUs on the PCI bus" },
		{ "ERR!", 1, false, true, false, "ERR!" },
		{ NULL, 1, false, false, false, "no devices were found" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, cases[i].status);
		scene.guest.gpus.count = cases[i].gpus;
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.smi_answers, cases[i].answers);
		assert_int_equal(scene.facts.words, cases[i].words);
		assert_int_equal(scene.facts.licensed, cases[i].licensed);
		assert_true(scene.facts.needs_license);
		assert_int_equal(scene.facts.smi_error[0] != '\0',
				 cases[i].error[0] != '\0');
		assert_non_null(strstr(scene.facts.smi_error, cases[i].error));
		assert_string_equal(scene.facts.driver_version,
				    cases[i].status ? "535.183.06" : "550.90.07");
	}
}

/* The bus takes it for a vGPU, the driver knows better. */
static void the_driver_s_word_on_what_a_gpu_is_outweighs_the_bus(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	free(scene.said);
	scene.said = smi_report_sample("580-passthrough.txt");
	scene.answers[0].output = scene.said;
	scene.stage.ctx.settings.license.feature_type = 1;
	assert_int_equal(gather(&scene), 0);

	assert_false(scene.facts.has_vgpu);
	assert_false(scene.facts.needs_license);
}

static int interrupt(struct runner *runner, const struct root *root,
		     const struct run *run, struct run_result *ret_result,
		     struct error *err)
{
	(void)runner;
	(void)root;
	(void)run;
	(void)ret_result;
	return error_set_interrupted(err);
}

static void an_interrupted_look_ends_all_of_it(void **state)
{
	for (int modules = 0; modules < 2; modules++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		scene.script.runner.start = interrupt;
		scene.guest.kernels.kernels[1].running = modules == 1;
		assert_int_equal(gather(&scene), -1);

		assert_true(scene.err.interrupted);
		assert_string_equal(scene.fake.calls, "");
	}
}

static void obstacles_are_looked_for_where_the_driver_does_not_work(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/etc/modprobe.d");
	sysroot_write(sysroot, "/etc/modprobe.d/x.conf", "alias nvidia off\n");
	for (int works = 0; works < 2; works++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, works ? LICENSED : NULL);
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.masked,
				    works ? ""
					  : "/etc/modprobe.d/x.conf: alias nvidia off");
	}
}

static void how_modules_may_come_to_the_kernel_is_told(void **state)
{
	static const struct {
		const char *config, *prebuilt, *unversioned;
		bool only;
	} cases[] = {
		{ "CONFIG_MODVERSIONS=y\n", "auto", "", false },
		{ "# CONFIG_MODVERSIONS is not set\nCONFIG_MODULES=y\n", "auto",
		  "/boot/config-" KERNEL, false },
		{ "CONFIG_MODULES=y\n", "only", "/boot/config-" KERNEL, true },
	};
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/boot");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, LICENSED);
		sysroot_write(sysroot, "/boot/config-" KERNEL, cases[i].config);
		(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, cases[i].prebuilt);
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.unversioned, cases[i].unversioned);
		assert_int_equal(scene.facts.prebuilt_only, cases[i].only);
	}
}

static void denials_are_looked_for_where_something_does_not_work(void **state)
{
	static const struct {
		bool works, failed;
		const char *expected;
	} cases[] = { { true, false, "" },
		      { true, true, "SELinux" },
		      { false, false, "SELinux" } };
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/sys/fs/selinux");
	sysroot_write(sysroot, "/sys/fs/selinux/enforce", "1");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, cases[i].works ? LICENSED : NULL);
		scene.fake.load = "loaded";
		scene.fake.file = "enabled";
		scene.fake.active = cases[i].failed ? "failed" : "active";
		assert_int_equal(gather(&scene), 0);

		assert_string_equal(scene.facts.denier, cases[i].expected);
	}
}

static void the_daemon_is_as_systemd_knows_it(void **state)
{
	static const struct {
		const char *load, *file, *active, *refuse;
		enum doctor_answer exists, enabled, runs, failed;
	} cases[] = {
		{ "loaded", "enabled", "active", NULL, DOCTOR_YES, DOCTOR_YES, DOCTOR_YES,
		  DOCTOR_NO },
		{ "loaded", "disabled", "failed", NULL, DOCTOR_YES, DOCTOR_NO, DOCTOR_NO,
		  DOCTOR_YES },
		{ "not-found", "", "inactive", NULL, DOCTOR_NO, DOCTOR_NO, DOCTOR_NO,
		  DOCTOR_NO },
		{ "loaded", "enabled", "active", "LoadUnit", DOCTOR_UNKNOWN,
		  DOCTOR_UNKNOWN, DOCTOR_UNKNOWN, DOCTOR_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		scene.fake.load = cases[i].load;
		scene.fake.file = cases[i].file;
		scene.fake.active = cases[i].active;
		scene.fake.refuse = cases[i].refuse;
		scene.fake.refuse_error = "org.freedesktop.DBus.Error.AccessDenied";
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.unit_exists, cases[i].exists);
		assert_int_equal(scene.facts.unit_enabled, cases[i].enabled);
		assert_int_equal(scene.facts.unit_active, cases[i].runs);
		assert_int_equal(scene.facts.unit_failed, cases[i].failed);
	}
}

static void a_journal_that_can_be_read_only_in_part_gives_no_reason(void **state)
{
	static const struct {
		bool reading_fails, expiry_fails;
		const char *code;
	} cases[] = { { false, false, "pool_empty" },
		      { true, false, NULL },
		      { false, true, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		complaint.code = "pool_empty";
		expiry = 12345;
		reading_fails = cases[i].reading_fails;
		expiry_fails = cases[i].expiry_fails;
		assert_int_equal(gather(&scene), 0);

		assert_ptr_equal(scene.facts.reason.code, cases[i].code);
		if (cases[i].code)
			assert_int_equal(scene.facts.last_expiry, 12345);
	}
}

static void gridd_conf_is_told_as_the_daemon_reads_it(void **state)
{
	static const struct {
		const char *text; /* NULL: there is none */
		uint64_t started;
		bool exists, newer;
		const char *type, *folder;
	} cases[] = {
		{ NULL, 1, false, false, "", "" },
		{ "FeatureType=2\n", UINT64_C(9000000000000000), true, false, "2", "" },
		{ "FeatureType=2\n", 1, true, true, "2", "" },
		{ "FeatureType=2\n", 0, true, false, "2", "" }, /* never started */
		{ "ClientConfigTokenPath=/srv/t\n", UINT64_C(9000000000000000), true,
		  false, "", "/srv/t" },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, LICENSED);
		root_discard(&sysroot->root, PATHS_GRIDD_CONF);
		if (cases[i].text)
			sysroot_write(sysroot, PATHS_GRIDD_CONF, cases[i].text);
		scene.fake.started = cases[i].started;
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.notes.conf_exists, cases[i].exists);
		assert_int_equal(scene.facts.conf_newer, cases[i].newer);
		assert_string_equal(scene.facts.feature_type, cases[i].type);
		assert_string_equal(scene.facts.token_dir, cases[i].folder);
		assert_string_equal(scene.facts.conf_error, "");
	}
}

static void a_gridd_conf_that_is_no_file_is_an_error_of_its_own(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	root_discard(&((const struct sysroot *)*state)->root, PATHS_GRIDD_CONF);
	sysroot_mkdir(*state, PATHS_GRIDD_CONF);
	assert_int_equal(gather(&scene), 0);

	assert_true(scene.notes.conf_exists);
	assert_true(scene.facts.conf_error[0] != '\0');
}

#define PROBLEM(severity, code, message)                                    \
	"{\"severity\":\"" severity "\",\"code\":\"" code "\",\"message\":" \
	"\"" message "\"}"

static void
of_a_token_s_problems_the_first_error_and_a_bad_signature_are_told(void **state)
{
	static const struct {
		const char *worker, *error, *warning;
	} cases[] = {
		{ WORKER("", OPEN), "", "" },
		{ WORKER(PROBLEM("warning", "bom", "a mark"), OPEN), "", "" },
		{ WORKER(PROBLEM("error", "a", "one") "," PROBLEM("error", "b", "two"),
			 OPEN),
		  "one", "" },
		{ WORKER(PROBLEM("warning", "bad_signature", "wrong"), OPEN), "",
		  "wrong" },
		{ WORKER("{\"severity\":\"error\"}", OPEN), "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		stage_set_worker(&scene.stage, *state, cases[i].worker);
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.token, DOCTOR_TOKEN_READ);
		assert_int_equal(scene.facts.token_count, 1);
		assert_string_equal(scene.facts.token_error, cases[i].error);
		assert_string_equal(scene.facts.token_warning, cases[i].warning);
		assert_int_equal(scene.facts.token_begin, 1577934245);
		assert_int_equal(scene.facts.token_end, 1893553445);
	}
}

static void
a_token_that_is_not_there_is_another_thing_than_one_that_cannot_be_read(void **state)
{
	static const struct {
		const char *folder, *worker; /* folder NULL: there is none in its place */
		bool file;
		enum doctor_token token;
	} cases[] = {
		{ NULL, WORKER("", OPEN), false, DOCTOR_TOKEN_MISSING },
		{ PATHS_TOKENS "/a.tok", WORKER("", OPEN), false,
		  DOCTOR_TOKEN_UNREADABLE },
		{ NULL, "exit 1", true, DOCTOR_TOKEN_UNREADABLE },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, LICENSED);
		root_discard(&sysroot->root, PATHS_TOKENS "/a.tok");
		if (!cases[i].file)
			root_discard(&sysroot->root, MINE);
		if (cases[i].folder)
			sysroot_mkdir(sysroot, cases[i].folder);
		stage_set_worker(&scene.stage, sysroot, cases[i].worker);
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.token, cases[i].token);
		assert_int_equal(scene.facts.token_error[0] != '\0',
				 cases[i].token == DOCTOR_TOKEN_UNREADABLE);
		assert_int_equal(scene.facts.server, DOCTOR_SERVER_UNASKED);
	}
}

static void
the_server_that_a_token_names_is_asked_for_its_port_and_its_clock(void **state)
{
	static const struct {
		const char *worker;
		enum doctor_server server;
		bool clock;
	} cases[] = {
		{ WORKER("", OPEN), DOCTOR_SERVER_OPEN, true },
		{ WORKER("", "{\"host\":\"dls\",\"port\":1,\"outcome\":\"refused\"}"),
		  DOCTOR_SERVER_REFUSED, false },
		{ WORKER("", "{\"host\":\"dls\",\"port\":1,\"outcome\":\"filtered\"}"),
		  DOCTOR_SERVER_FILTERED, false },
		{ WORKER("", "{\"host\":\"dls\",\"port\":1,\"outcome\":\"dns\"}"),
		  DOCTOR_SERVER_UNRESOLVED, false },
		{ WORKER("", "{\"host\":\"dls\",\"port\":1,\"outcome\":\"tls\"}"),
		  DOCTOR_SERVER_TLS, false },
		{ WORKER("", ""), DOCTOR_SERVER_UNASKED, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		stage_set_worker(&scene.stage, *state, cases[i].worker);
		assert_int_equal(gather(&scene), 0);

		assert_int_equal(scene.facts.server, cases[i].server);
		assert_int_equal(scene.facts.clock_known, cases[i].clock);
		assert_int_equal(scene.facts.clock_offset, cases[i].clock ? -7 : 0);
		assert_true(scene.facts.server_detail[0] != '\0');
	}
}

/* For the status, which asks nobody: what it learns of the token it hands on. */
static void the_part_that_asks_nobody_needs_no_daemon(void **state)
{
	cleanup_json struct json *check = NULL;
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	findings_of_daemon(&scene.stage.ctx, NULL, &scene.facts, &scene.notes, &check);

	assert_non_null(json_get(check, "servers"));
	assert_int_equal(scene.facts.unit_exists, DOCTOR_UNKNOWN);
	assert_string_equal(scene.facts.feature_type, "1");
	assert_int_equal(scene.facts.server, DOCTOR_SERVER_UNASKED);
	assert_string_equal(scene.script.log, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_holds_the_gpu_is_named_by_its_address),
		TEST(without_a_gpu_neither_driver_nor_daemon_is_asked),
		TEST(the_module_is_the_one_that_the_running_kernel_would_load),
		TEST(where_it_has_none_the_other_kernels_are_asked),
		TEST(of_a_kernel_that_is_not_known_no_module_is_looked_for),
		TEST(secure_boot_is_what_the_firmware_says),
		TEST(who_signed_the_module_is_compared_with_the_kernels_keys),
		TEST(what_the_driver_says_of_its_gpus_counts),
		TEST(the_driver_s_word_on_what_a_gpu_is_outweighs_the_bus),
		TEST(an_interrupted_look_ends_all_of_it),
		TEST(obstacles_are_looked_for_where_the_driver_does_not_work),
		TEST(how_modules_may_come_to_the_kernel_is_told),
		TEST(denials_are_looked_for_where_something_does_not_work),
		TEST(the_daemon_is_as_systemd_knows_it),
		TEST(a_journal_that_can_be_read_only_in_part_gives_no_reason),
		TEST(gridd_conf_is_told_as_the_daemon_reads_it),
		TEST(a_gridd_conf_that_is_no_file_is_an_error_of_its_own),
		TEST(of_a_token_s_problems_the_first_error_and_a_bad_signature_are_told),
		TEST(a_token_that_is_not_there_is_another_thing_than_one_that_cannot_be_read),
		TEST(the_server_that_a_token_names_is_asked_for_its_port_and_its_clock),
		TEST(the_part_that_asks_nobody_needs_no_daemon),
	};

	return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
