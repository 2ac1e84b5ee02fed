/* wrap: gridd_log_read gridd_log_expiry */
/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/examine.h"

#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/file.h"
#include "model/doctor/doctor.h"
#include "model/paths.h"
#include "steps/license/gridd_log.h"
#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/smi_report.h"
#include "support/stage.h"

#define LICENSED "Licensed (Expiry: N/A)"
#define UNLICENSED "Unlicensed (Unrestricted)"
#define KERNEL "6.1.0-37-cloud-amd64"
#define MINE PATHS_TOKENS "/mine.tok"
#define TOKEN "eyJhbGciOiJSUzI1NiJ9.mine.sig"
#define EFI "/sys/firmware/efi/efivars"
#define SECURE_BOOT EFI "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define LAYERS(filter, landlock, network)                          \
	"{\"user\":1,\"filter\":" filter ",\"landlock\":" landlock \
	",\"own_network\":" network ",\"own_mounts\":false}"

/* What nvidia-gridd's journal tells. */
static struct license_reason complaint;
__typeof__(gridd_log_read) __wrap_gridd_log_read;
__typeof__(gridd_log_expiry) __wrap_gridd_log_expiry;

int __wrap_gridd_log_read(int64_t since, struct license_reason *ret_reason,
			  struct error *err)
{
	(void)since;
	(void)err;
	*ret_reason = complaint;
	return 0;
}

int __wrap_gridd_log_expiry(int64_t since, int64_t *ret_expiry, struct error *err)
{
	(void)since;
	(void)err;
	*ret_expiry = 0;
	return 0;
}

/* Everything that a guest is examined for, as a test wants it. */
struct scene {
	const struct sysroot *sysroot;
	struct stage stage;
	struct script script;
	struct script_answer answers[4];
	struct fake_systemd fake;
	struct guest guest;
	const char *status;            /* in nvidia-smi's words; NULL: it says nothing */
	const char *vermagic, *signer; /* of the module */
	const char *problems, *begin, *end; /* of the token */
	const char *server, *layers; /* the worker's answers; layers NULL: it dies */
	struct state state;
	struct json *report;
	struct error err;
};

static void prepare(const struct sysroot *sysroot, struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	complaint = (struct license_reason){ 0 };
	scene->sysroot = sysroot;
	stage_set(&scene->stage, sysroot);
	stage_add_program(sysroot, PATHS_SMI, "");
	stage_add_program(sysroot, "/usr/sbin/modinfo", "");
	sysroot_write(sysroot, MINE, TOKEN);
	sysroot_write(sysroot, PATHS_GRIDD_CONF, "FeatureType=1\n");
	scene->fake = FAKE_SYSTEMD_INIT;
	scene->fake.started = UINT64_C(9000000000000000);

	scene->guest.gpus.count = 1;
	scene->guest.gpus.gpus[0].kind = GPU_VGPU;
	strcpy(scene->guest.gpus.gpus[0].address, "0000:06:00.0");
	strcpy(scene->guest.gpus.gpus[0].driver, "nvidia");
	strcpy(scene->guest.host.version, "535.183.04");
	scene->guest.kernels.count = 1;
	strcpy(scene->guest.kernels.kernels[0].release, KERNEL);
	scene->guest.kernels.kernels[0].running = true;
	strcpy(scene->guest.installed.version, "535.183.06");
	strcpy(scene->guest.installed.loaded, "535.183.06");
	scene->guest.installed.grid = scene->guest.installed.tools = true;

	scene->status = LICENSED;
	scene->vermagic = KERNEL " SMP\n";
	scene->signer = "";
	scene->problems = "";
	scene->begin = "2020-01-02T03:04:05Z";
	scene->end = "2099-01-02T03:04:05Z";
	scene->server =
		"{\"host\":\"dls\",\"port\":443,\"outcome\":\"open\",\"offset\":5}";
	scene->layers = LAYERS("true", "4", "true");
}

static void scene_done(struct scene *scene)
{
	json_free(scene->report);
	state_done(&scene->state);
}

static int examine(struct scene *scene)
{
	cleanup_free char *said =
		smi_report_vgpus(1, 1, scene->status ? scene->status : "");
	char worker[2048];
	int result;

	scene->answers[0] = (struct script_answer){
		.match = "nvidia-smi -q",
		.output = scene->status ? said : "no devices were found\n",
		.status = scene->status ? 0 : 6,
	};
	scene->answers[1] = (struct script_answer){ .match = "-F vermagic",
						    .output = scene->vermagic };
	scene->answers[2] =
		(struct script_answer){ .match = "-F signer", .output = scene->signer };
	script_init(&scene->script, scene->answers, NULL);
	scene->stage.ctx.runner = &scene->script.runner;
	(void)snprintf(worker, sizeof(worker),
		       "case $request in\n"
		       "*'\"job\":\"token\"'*) echo '{\"result\":{\"problems\":[%s],"
		       "\"servers\":[{\"host\":\"dls\",\"port\":443}],"
		       "\"not_before\":\"%s\",\"expires\":\"%s\"}}' >&3;;\n"
		       "*'\"job\":\"probe\"'*) echo '{\"result\":{\"servers\":[%s]}}' "
		       ">&3;;\n"
		       "*'\"job\":\"layers\"'*) %s echo '{\"result\":%s}' >&3;;\n"
		       "esac",
		       scene->problems, scene->begin, scene->end, scene->server,
		       scene->layers ? "" : "exit 1;",
		       scene->layers ? scene->layers : "");
	stage_set_worker(&scene->stage, scene->sysroot, worker);

	fake_systemd_start(&scene->fake);
	result = examine_guest(&scene->stage.ctx, &scene->guest, &scene->state,
			       &scene->report, &scene->err);
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

static const struct json *find_check(const struct scene *scene, const char *name)
{
	const struct json *checks = json_get(scene->report, "checks");

	for (size_t i = 0; i < json_count(checks); i++) {
		if (strcmp(json_get_string(json_at(checks, i), "name"), name) == 0)
			return json_at(checks, i);
	}
	fail_msg("there is no check %s", name);
	return NULL;
}

static enum doctor_answer ok_of(const struct json *check)
{
	const struct json *ok = json_get(check, "ok");

	return json_kind(ok) != JSON_KIND_BOOL ? DOCTOR_UNKNOWN
	       : json_as_bool(ok)              ? DOCTOR_YES
					       : DOCTOR_NO;
}

static void a_licensed_guest_ends_well_and_every_check_is_good(void **state)
{
	static const char *const names[] = {
		"gpu",         "nouveau",        "module",     "module_loaded",
		"secure_boot", "host_version",   "nvidia_smi", "license",
		"gridd",       "gridd_enabled",  "gridd_log",  "gridd_conf",
		"token",       "license_server", "clock",      "worker",
	};
	cleanup(scene_done) struct scene scene = { 0 };
	const struct json *checks;

	prepare(*state, &scene);
	assert_int_equal(examine(&scene), 0);

	assert_int_equal(json_get_int(scene.report, "schema", 0), 1);
	assert_int_equal(json_count(json_get(scene.report, "causes")), 0);
	checks = json_get(scene.report, "checks");
	assert_int_equal(json_count(checks), ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct json *check = json_at(checks, i);
		enum doctor_answer good = DOCTOR_YES;

		/* The journal is root's. */
		if (geteuid() != 0 && strcmp(names[i], "gridd_log") == 0)
			good = DOCTOR_UNKNOWN;
		assert_string_equal(json_get_string(check, "name"), names[i]);
		if (strcmp(names[i], "worker") != 0 && ok_of(check) != good)
			fail_msg("%s: %s", names[i], json_get_string(check, "detail"));
	}
}

static void the_end_is_the_likeliest_cause_s_in_its_words(void **state)
{
	static const struct {
		const char *path; /* what is not there */
		const char *status;
		enum error_code code;
		const char *cause;
	} cases[] = {
		{ MINE, UNLICENSED, ERROR_TOKEN, "token_missing" },
		{ NULL, UNLICENSED, ERROR_UNLICENSED, "unknown" },
		{ PATHS_SMI, LICENSED, ERROR_DRIVER, "unknown" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		const struct json *first;

		prepare(*state, &scene);
		scene.status = cases[i].status;
		if (cases[i].path)
			root_discard(&scene.sysroot->root, cases[i].path);
		assert_int_equal(examine(&scene), -1);

		first = json_at(json_get(scene.report, "causes"), 0);
		assert_int_equal(scene.err.code, cases[i].code);
		assert_string_equal(json_get_string(first, "code"), cases[i].cause);
		assert_string_equal(scene.err.text, json_get_string(first, "message"));
		assert_string_equal(scene.err.hint, json_get_string(first, "hint"));
	}
}

/* What status says of the last run the doctor knows, too. */
static void what_the_last_run_failed_of_is_the_cause(void **state)
{
	static const struct {
		const char *step, *code, *says;
		enum error_code end;
	} cases[] = {
		{ "build", "build_failed", "pci_resize_resource", ERROR_BUILD },
		{ "match", "driver_missing",
		  "; the last run ended in match: pci_resize_resource", ERROR_DRIVER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		const struct json *first;

		prepare(*state, &scene);
		root_discard(&scene.sysroot->root, PATHS_SMI);
		scene.vermagic = "";
		memset(&scene.guest.installed, 0, sizeof(scene.guest.installed));
		scene.state.trouble = json_build("{s:s, s:s, s:s}", "step", cases[i].step,
						 "message", "pci_resize_resource", "hint",
						 "another branch");
		assert_int_equal(examine(&scene), -1);

		first = json_at(json_get(scene.report, "causes"), 0);
		assert_string_equal(json_get_string(first, "code"), cases[i].code);
		assert_non_null(strstr(scene.err.text, cases[i].says));
		assert_string_equal(scene.err.hint, "another branch");
		assert_int_equal(scene.err.code, cases[i].end);
	}
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

static void an_interrupted_examination_has_no_report(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	struct runner runner = { .start = interrupt, .cancel_fd = -1 };

	prepare(*state, &scene);
	scene.stage.ctx.runner = &runner;
	assert_int_equal(examine_guest(&scene.stage.ctx, &scene.guest, &scene.state,
				       &scene.report, &scene.err),
			 -1);

	assert_true(scene.err.interrupted);
	assert_null(scene.report);
}

static void no_gpu(struct scene *scene)
{
	scene->guest.gpus.count = 0;
}
static void two_gpus(struct scene *scene)
{
	scene->guest.gpus.count = 2;
}
static void nouveau(struct scene *scene)
{
	strcpy(scene->guest.gpus.gpus[0].driver, "nouveau");
}
static void nova(struct scene *scene)
{
	strcpy(scene->guest.gpus.gpus[0].driver, "nova_core");
}
static void no_module(struct scene *scene)
{
	scene->guest.installed.version[0] = '\0';
}
static void other_vermagic(struct scene *scene)
{
	scene->vermagic = "6.1.0-36-cloud-amd64 SMP\n";
}
static void not_loaded(struct scene *scene)
{
	scene->guest.installed.loaded[0] = '\0';
}
static void put_secure_boot(struct scene *scene, size_t size)
{
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&scene->sysroot->root, EFI, 0755, &err), 0);
	assert_int_equal(file_write_atomic(&scene->sysroot->root, SECURE_BOOT,
					   "\6\0\0\0\1", size, 0644, &err),
			 0);
}
static void secure_boot(struct scene *scene)
{
	put_secure_boot(scene, 5);
}
static void secure_boot_and_a_signed_module(struct scene *scene)
{
	secure_boot(scene);
	scene->signer = "a key\n";
}
static void secure_boot_unknown(struct scene *scene)
{
	put_secure_boot(scene, 3);
}
static void no_host(struct scene *scene)
{
	scene->guest.host.version[0] = '\0';
}
static void older_host(struct scene *scene)
{
	strcpy(scene->guest.host.version, "525.60.12");
}
static void silent(struct scene *scene)
{
	scene->status = NULL;
}
static void unlicensed(struct scene *scene)
{
	scene->status = UNLICENSED;
}
static void no_unit(struct scene *scene)
{
	scene->fake.load = "not-found";
}
static void stopped(struct scene *scene)
{
	scene->fake.active = "inactive";
	scene->fake.sub = "dead";
}
static void disabled(struct scene *scene)
{
	scene->fake.file = "disabled";
}
static void no_systemd(struct scene *scene)
{
	scene->fake.refuse = "LoadUnit";
	scene->fake.refuse_error = "org.freedesktop.systemd1.Nothing";
}
static void complaining(struct scene *scene)
{
	(void)scene;
	complaint.code = "pool_empty";
	strcpy(complaint.message, "no license left");
}
static void no_conf(struct scene *scene)
{
	root_discard(&scene->sysroot->root, PATHS_GRIDD_CONF);
}
static void empty_conf(struct scene *scene)
{
	sysroot_write(scene->sysroot, PATHS_GRIDD_CONF, "");
}
static void binary_conf(struct scene *scene)
{
	struct error err = ERROR_INIT;

	assert_int_equal(file_write_atomic(&scene->sysroot->root, PATHS_GRIDD_CONF,
					   "a\0b", 3, 0644, &err),
			 0);
}
static void no_token(struct scene *scene)
{
	root_discard(&scene->sysroot->root, MINE);
}
static void two_tokens(struct scene *scene)
{
	sysroot_write(scene->sysroot, PATHS_TOKEN, TOKEN);
}
static void damaged_token(struct scene *scene)
{
	scene->problems = "{\"severity\":\"error\",\"code\":\"x\",\"message\":\"torn\"}";
}
static void forged_token(struct scene *scene)
{
	scene->problems = "{\"severity\":\"warning\",\"code\":\"bad_signature\","
			  "\"message\":\"forged\"}";
}
static void expired(struct scene *scene)
{
	scene->end = "2021-01-02T03:04:05Z";
}
static void early(struct scene *scene)
{
	scene->begin = "2098-01-02T03:04:05Z";
}
static void refused(struct scene *scene)
{
	scene->server = "{\"host\":\"dls\",\"port\":7070,\"outcome\":\"refused\"}";
}
static void clock_ahead(struct scene *scene)
{
	scene->server = "{\"host\":\"dls\",\"port\":443,\"outcome\":\"open\","
			"\"offset\":61}";
}
static void clock_behind(struct scene *scene)
{
	scene->server = "{\"host\":\"dls\",\"port\":443,\"outcome\":\"open\","
			"\"offset\":-61}";
}
static void clock_near(struct scene *scene)
{
	scene->server = "{\"host\":\"dls\",\"port\":443,\"outcome\":\"open\","
			"\"offset\":-60}";
}
static void dead_worker(struct scene *scene)
{
	scene->layers = NULL;
}
static void bare_worker(struct scene *scene)
{
	scene->layers = LAYERS("false", "0", "false");
}
static void failed_build(struct scene *scene)
{
	builds_note(&scene->state.builds,
		    &(struct known_build){ .version = "550.90.07",
					   .kernel = KERNEL,
					   .why = "nv-pci.c: error" });
}
static void same(struct scene *scene)
{
	(void)scene;
}

static const struct {
	void (*change)(struct scene *scene);
	const char *check;
	enum doctor_answer ok;
	const char *detail; /* stands in it */
} cases[] = {
	{ failed_build, "build", DOCTOR_NO,
	  "driver 550.90.07 does not compile for kernel " KERNEL ": nv-pci.c: error" },
	{ same, "gpu", DOCTOR_YES, "1 NVIDIA GPU on the PCI bus, vGPU" },
	{ two_gpus, "gpu", DOCTOR_YES, "2 NVIDIA GPUs on the PCI bus, vGPU" },
	{ no_gpu, "gpu", DOCTOR_NO, "0 NVIDIA GPUs on the PCI bus" },
	{ no_gpu, "nouveau", DOCTOR_UNKNOWN, "not bound" },
	{ no_gpu, "nvidia_smi", DOCTOR_UNKNOWN, "" },
	{ no_gpu, "token", DOCTOR_UNKNOWN, "not asked" },
	{ nouveau, "nouveau", DOCTOR_NO, "nouveau is bound" },
	{ nova, "nouveau", DOCTOR_NO, "nova is bound" },
	{ same, "module", DOCTOR_YES, "nvidia 535.183.06 for kernel " KERNEL },
	{ no_module, "module", DOCTOR_NO, "nvidia is not there for kernel " KERNEL },
	{ other_vermagic, "module", DOCTOR_NO, "nvidia 535.183.06 for kernel " KERNEL },
	{ same, "module_loaded", DOCTOR_YES, "535.183.06" },
	{ not_loaded, "module_loaded", DOCTOR_NO, "not loaded" },
	{ same, "secure_boot", DOCTOR_YES, "no UEFI" },
	{ secure_boot, "secure_boot", DOCTOR_NO, "Secure Boot is on" },
	{ secure_boot_and_a_signed_module, "secure_boot", DOCTOR_YES,
	  "Secure Boot is on" },
	{ secure_boot_unknown, "secure_boot", DOCTOR_UNKNOWN, "could not be read" },
	{ same, "host_version", DOCTOR_YES, "host 535.183.04, guest 535.183.06" },
	{ older_host, "host_version", DOCTOR_NO, "host 525.60.12, guest 535.183.06" },
	{ no_host, "host_version", DOCTOR_UNKNOWN, "" },
	{ silent, "nvidia_smi", DOCTOR_NO, "no devices were found" },
	{ silent, "license", DOCTOR_UNKNOWN, "not known" },
	{ same, "license", DOCTOR_YES, "licensed" },
	{ unlicensed, "license", DOCTOR_NO, "not licensed" },
	{ same, "gridd", DOCTOR_YES, "active (running)" },
	{ stopped, "gridd", DOCTOR_NO, "inactive (dead)" },
	{ no_unit, "gridd", DOCTOR_NO, "not-found" },
	{ no_unit, "gridd_enabled", DOCTOR_UNKNOWN, "" },
	{ no_systemd, "gridd", DOCTOR_UNKNOWN, "systemd could not be asked" },
	{ same, "gridd_enabled", DOCTOR_YES, "starts at boot" },
	{ disabled, "gridd_enabled", DOCTOR_NO, "" },
	{ complaining, "gridd_log", DOCTOR_NO, "no license left" },
	{ same, "gridd_conf", DOCTOR_YES, "FeatureType 1" },
	{ empty_conf, "gridd_conf", DOCTOR_YES, "FeatureType not set" },
	{ no_conf, "gridd_conf", DOCTOR_UNKNOWN, "there is none" },
	{ binary_conf, "gridd_conf", DOCTOR_NO, "it holds NUL bytes" },
	{ same, "token", DOCTOR_YES, "can be read and is in its time" },
	{ no_token, "token", DOCTOR_NO, "there is none" },
	{ two_tokens, "token", DOCTOR_NO, "there are several" },
	{ damaged_token, "token", DOCTOR_NO, "torn" },
	{ forged_token, "token", DOCTOR_NO, "forged" },
	{ expired, "token", DOCTOR_NO, "expired by this guest's clock" },
	{ early, "token", DOCTOR_NO, "not yet valid by this guest's clock" },
	{ same, "license_server", DOCTOR_YES, "dls port 443 answers" },
	{ refused, "license_server", DOCTOR_NO, "dls port 7070 refuses the connection" },
	{ no_token, "license_server", DOCTOR_UNKNOWN,
	  "there is no token that names one" },
	{ same, "clock", DOCTOR_YES, "+5 s to the license server's" },
	{ clock_near, "clock", DOCTOR_YES, "-60 s to the license server's" },
	{ clock_ahead, "clock", DOCTOR_NO, "+61 s to the license server's" },
	{ clock_behind, "clock", DOCTOR_NO, "-61 s to the license server's" },
	{ refused, "clock", DOCTOR_UNKNOWN, "synchronised" },
	{ bare_worker, "worker", DOCTOR_YES, "built without its sandbox" },
	{ dead_worker, "worker", DOCTOR_NO, "worker" },
};

static void each_check_answers_for_one_thing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		const struct json *check;
		const char *detail;

		prepare(*state, &scene);
		cases[i].change(&scene);
		(void)examine(&scene);

		check = find_check(&scene, cases[i].check);
		detail = json_get_string(check, "detail");
		if (ok_of(check) != cases[i].ok || !strstr(detail, cases[i].detail))
			fail_msg("case %zu (%s): %d, %s", i, cases[i].check,
				 (int)ok_of(check), detail);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* Where the package's user is missing, nothing else makes up for it. */
static void a_layer_that_the_kernel_lacks_is_no_finding(void **state)
{
	static const struct {
		const char *layers, *detail;
		enum doctor_answer ok;
	} layers[] = {
		{ LAYERS("true", "4", "true"), "Landlock 4", DOCTOR_YES },
		{ LAYERS("true", "0", "true"), "no Landlock in this kernel",
		  DOCTOR_UNKNOWN },
	};
	struct confine confine = { .root = false };
	bool is_there = confine_begin(&confine);

	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		bool lacks_user = confine.root && !is_there;
		cleanup(scene_done) struct scene scene = { 0 };
		const struct json *check;

		prepare(*state, &scene);
		scene.layers = layers[i].layers;
		assert_int_equal(examine(&scene), 0);

		check = find_check(&scene, "worker");
		assert_int_equal(ok_of(check), lacks_user ? DOCTOR_NO : layers[i].ok);
		assert_non_null(
			strstr(json_get_string(check, "detail"), layers[i].detail));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_licensed_guest_ends_well_and_every_check_is_good),
		TEST(the_end_is_the_likeliest_cause_s_in_its_words),
		TEST(what_the_last_run_failed_of_is_the_cause),
		TEST(an_interrupted_examination_has_no_report),
		TEST(each_check_answers_for_one_thing),
		TEST(a_layer_that_the_kernel_lacks_is_no_finding),
	};

	return cmocka_run_group_tests_name("examine", tests, NULL, NULL);
}
