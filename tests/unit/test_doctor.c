/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/doctor.h"

#include <string.h>

#include "support/cmocka.h"

#define NOW INT64_C(1790000000)
#define DAY 86400

/* A vGPU whose driver works, with everything right, and no license. */
static struct doctor_facts unlicensed(void)
{
	return (struct doctor_facts){
		.now = NOW,
		.gpus = 1,
		.has_vgpu = true,
		.host = "550.90.05",
		.release = "6.1.0-37-cloud-amd64",
		.tools = true,
		.module = "550.90.07",
		.vermagic = "6.1.0-37-cloud-amd64",
		.is_signed = DOCTOR_NO,
		.loaded = "550.90.07",
		.enforced = DOCTOR_NO,
		.smi_answers = true,
		.driver_version = "550.90.07",
		.needs_license = true,
		.gridd_binary = DOCTOR_YES,
		.unit_exists = DOCTOR_YES,
		.unit_enabled = DOCTOR_YES,
		.unit_active = DOCTOR_YES,
		.unit_failed = DOCTOR_NO,
		.feature_type = "1",
		.token = DOCTOR_TOKEN_READ,
		.token_count = 1,
		.token_begin = NOW - 9 * DAY,
		.token_end = NOW + 9 * DAY,
		.server = DOCTOR_SERVER_OPEN,
		.server_detail = "dls port 443 answers",
		.clock_known = true,
	};
}

static void complain(struct doctor_facts *facts, const char *code)
{
	facts->reason.code = code;
	strcpy(facts->reason.message, "Failed to acquire license");
	strcpy(facts->reason.hint, "do so");
}

static void no_gpu(struct doctor_facts *f)
{
	f->gpus = 0;
}
static void driver_broken(struct doctor_facts *f)
{
	f->smi_answers = false;
	strcpy(f->smi_error, "nvidia-smi ended with status 9");
}
static void driver_missing(struct doctor_facts *f)
{
	driver_broken(f);
	f->tools = false;
	f->module[0] = f->vermagic[0] = f->loaded[0] = '\0';
}
static void smi_missing(struct doctor_facts *f)
{
	driver_broken(f);
	f->tools = false;
}
static void not_loaded(struct doctor_facts *f)
{
	driver_broken(f);
	f->loaded[0] = '\0';
}
static void other_vermagic(struct doctor_facts *f)
{
	not_loaded(f);
	strcpy(f->vermagic, "6.1.0-36-cloud-amd64");
}
static void other_kernel(struct doctor_facts *f)
{
	driver_missing(f);
	f->tools = true;
	strcpy(f->other_kernel, "6.1.0-36-cloud-amd64");
}
static void nouveau(struct doctor_facts *f)
{
	not_loaded(f);
	strcpy(f->nouveau, "0000:06:00.0");
}
static void nova(struct doctor_facts *f)
{
	not_loaded(f);
	strcpy(f->nova, "0000:06:00.0");
}
static void nouveau_and_no_driver(struct doctor_facts *f)
{
	driver_missing(f);
	strcpy(f->nouveau, "0000:06:00.0");
}
static void unsigned_module(struct doctor_facts *f)
{
	not_loaded(f);
	f->enforced = DOCTOR_YES;
	f->secure_boot = true;
}
static void unsigned_without_secure_boot(struct doctor_facts *f)
{
	unsigned_module(f);
	f->secure_boot = false;
	strcpy(f->enforcer, "lockdown is integrity");
}
static void signed_module(struct doctor_facts *f)
{
	unsigned_module(f);
	f->is_signed = DOCTOR_YES;
}
static void signed_by_a_stranger(struct doctor_facts *f)
{
	signed_module(f);
	f->is_trusted = DOCTOR_NO;
	strcpy(f->signer, "Acme, key id ab01");
}
static void stale_module(struct doctor_facts *f)
{
	driver_broken(f);
	strcpy(f->loaded, "550.54.14");
}
static void stale_library(struct doctor_facts *f)
{
	driver_broken(f);
	strcpy(f->loaded, "?");
	strcpy(f->smi_error,
	       "Failed to initialize NVML: Driver/library version mismatch");
}
static void too_new(struct doctor_facts *f)
{
	driver_broken(f);
	strcpy(f->host, "535.183.04");
}
static void gridd_gone(struct doctor_facts *f)
{
	f->unit_exists = f->unit_enabled = f->unit_active = DOCTOR_NO;
}
static void gridd_stopped(struct doctor_facts *f)
{
	f->unit_active = DOCTOR_NO;
}
static void gridd_disabled(struct doctor_facts *f)
{
	f->unit_active = f->unit_enabled = DOCTOR_NO;
}
static void gridd_masked(struct doctor_facts *f)
{
	f->unit_masked = DOCTOR_YES;
	f->unit_active = f->unit_enabled = DOCTOR_NO;
}
static void gridd_failed(struct doctor_facts *f)
{
	f->unit_active = DOCTOR_NO;
	f->unit_failed = DOCTOR_YES;
}
static void gridd_failed_over_the_token(struct doctor_facts *f)
{
	gridd_failed(f);
	complain(f, "token_malformed");
}
static void conf_unreadable(struct doctor_facts *f)
{
	strcpy(f->conf_error, "a folder");
}
static void conf_nonsense(struct doctor_facts *f)
{
	strcpy(f->feature_type, "3");
}
static void conf_elsewhere(struct doctor_facts *f)
{
	strcpy(f->token_dir, "tokens/");
	complain(f, "token_missing");
}
static void conf_changed(struct doctor_facts *f)
{
	f->conf_newer = true;
}
static void type_zero(struct doctor_facts *f)
{
	strcpy(f->feature_type, "0");
}
static void type_of_a_vgpu(struct doctor_facts *f)
{
	f->has_vgpu = false;
}
static void token_none(struct doctor_facts *f)
{
	f->token = DOCTOR_TOKEN_MISSING;
	f->token_count = 0;
	f->server = DOCTOR_SERVER_UNASKED;
	complain(f, "token_missing");
}
static void token_dark(struct doctor_facts *f)
{
	token_none(f);
	f->token = DOCTOR_TOKEN_UNREADABLE;
}
static void token_late(struct doctor_facts *f)
{
	complain(f, "token_missing");
}
static void token_broken(struct doctor_facts *f)
{
	strcpy(f->token_error, "no token");
}
static void token_old(struct doctor_facts *f)
{
	f->token_end = NOW - DAY;
	complain(f, "clock");
}
static void token_early(struct doctor_facts *f)
{
	f->token_begin = NOW + DAY / 2;
	complain(f, "clock_windback");
}
static void token_early_by_a_wrong_clock(struct doctor_facts *f)
{
	token_early(f);
	f->clock_offset = -DAY;
}
static void token_old_by_a_wrong_clock(struct doctor_facts *f)
{
	token_old(f);
	f->clock_offset = 2 * DAY;
}
static void token_two(struct doctor_facts *f)
{
	f->token_count = 2;
	complain(f, "clock");
}
static void token_unsigned(struct doctor_facts *f)
{
	strcpy(f->token_warning, "its signature is wrong");
}
static void clock_ahead(struct doctor_facts *f)
{
	f->clock_offset = 3600;
}
static void clock_near(struct doctor_facts *f)
{
	f->clock_offset = DOCTOR_CLOCK_OFF_S;
}
static void clock_unknown(struct doctor_facts *f)
{
	f->clock_known = false;
	complain(f, "clock");
}
static void server_unknown(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_UNRESOLVED;
	complain(f, "unknown");
}
static void server_unknown_behind_a_proxy(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_UNRESOLVED;
	strcpy(f->proxy, "proxy.example");
}
static void server_silent_behind_a_proxy(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_FILTERED;
	strcpy(f->proxy, "proxy.example");
}
static void server_of_another_form(struct doctor_facts *f)
{
	strcpy(f->server_form, "https://dls.example/");
}
static void server_closed(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_REFUSED;
}
static void server_silent(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_FILTERED;
}
static void server_plain(struct doctor_facts *f)
{
	f->server = DOCTOR_SERVER_TLS;
}
static void pool_empty(struct doctor_facts *f)
{
	complain(f, "pool_empty");
}
static void pool_empty_behind_a_closed_port(struct doctor_facts *f)
{
	pool_empty(f);
	server_closed(f);
}
static void server_old(struct doctor_facts *f)
{
	strcpy(f->host, "570.86.16");
	strcpy(f->driver_version, "570.86.15");
	strcpy(f->module, "570.86.15");
	strcpy(f->loaded, "570.86.15");
	complain(f, "unknown");
}
static void windback(struct doctor_facts *f)
{
	complain(f, "clock_windback");
}
static void store(struct doctor_facts *f)
{
	complain(f, "trusted_store");
}
static void license_old(struct doctor_facts *f)
{
	f->last_expiry = NOW - 10;
}
static void nothing(struct doctor_facts *f)
{
	(void)f;
}
static void any_word(struct doctor_facts *f)
{
	complain(f, "unknown");
}

static void gpu_kept_for_a_guest(struct doctor_facts *f)
{
	driver_missing(f);
	strcpy(f->bound, "vfio-pci holds the GPU 0000:06:00.0");
}

static void module_switched_off(struct doctor_facts *f)
{
	driver_missing(f);
	strcpy(f->masked, "/etc/modprobe.d/x.conf: alias nvidia off");
}

static void denied_in_the_log(struct doctor_facts *f)
{
	not_loaded(f);
	strcpy(f->denier, "SELinux");
	strcpy(f->denial, "type=AVC msg=audit(1.1:1): avc:  denied");
}

static void denied_to_nvidia_smi(struct doctor_facts *f)
{
	driver_broken(f);
	strcpy(f->denier, "fapolicyd");
	strcpy(f->smi_error, "starting /usr/bin/nvidia-smi: Operation not permitted");
}

static void enforced_alone(struct doctor_facts *f)
{
	not_loaded(f);
	strcpy(f->denier, "SELinux");
}

static void gridd_denied(struct doctor_facts *f)
{
	gridd_failed(f);
	strcpy(f->denier, "SELinux");
	strcpy(f->denial, "type=AVC msg=audit(1.1:1): avc:  denied");
}

static void place_read_only(struct doctor_facts *f)
{
	driver_missing(f);
	strcpy(f->read_only, "/usr");
}

/* It may be a driver that somebody wants there: only a guess. */
static void packages_in_the_way(struct doctor_facts *f)
{
	f->smi_answers = false;
	strcpy(f->owners, "libnvidia-compute-575");
}

static void fail_run(struct doctor_facts *f, const char *step)
{
	strcpy(f->failed_step, step);
	strcpy(f->failed, "what it said");
	strcpy(f->failed_hint, "its way out");
}

static void build_failed(struct doctor_facts *f)
{
	driver_missing(f);
	fail_run(f, "build");
}

static void build_failed_for_the_new_kernel(struct doctor_facts *f)
{
	other_kernel(f);
	fail_run(f, "build");
}

static void gpu_in_trouble(struct doctor_facts *f)
{
	f->smi_answers = f->licensed = false;
	f->words = true;
	strcpy(f->smi_error, "the driver says of a GPU: GPU requires reset");
}

static void kernel_unversioned(struct doctor_facts *f)
{
	driver_missing(f);
	strcpy(f->unversioned, "/boot/config-6.1");
}

static void kernel_unversioned_and_no_compiler(struct doctor_facts *f)
{
	kernel_unversioned(f);
	f->prebuilt_only = true;
}

static const struct {
	void (*change)(struct doctor_facts *facts);
	const char *code;
	bool certain;
	enum error_code status;
} cases[] = {
	{ no_gpu, "no_gpu", true, ERROR_NO_GPU },
	{ driver_missing, "driver_missing", true, ERROR_DRIVER },
	{ smi_missing, "driver_missing", true, ERROR_DRIVER },
	{ driver_broken, "unknown", false, ERROR_DRIVER },
	{ gpu_kept_for_a_guest, "vfio_bound", true, ERROR_DRIVER },
	{ module_switched_off, "module_masked", true, ERROR_DRIVER },
	{ place_read_only, "read_only", true, ERROR_DRIVER },
	{ denied_in_the_log, "mac_denied", true, ERROR_DRIVER },
	{ denied_to_nvidia_smi, "mac_denied", false, ERROR_DRIVER },
	{ enforced_alone, "module_not_loaded", true, ERROR_DRIVER },
	{ gridd_denied, "mac_denied", true, ERROR_UNLICENSED },
	{ packages_in_the_way, "other_packages", false, ERROR_DRIVER },
	{ other_vermagic, "driver_other_kernel", true, ERROR_DRIVER },
	{ other_kernel, "driver_other_kernel", true, ERROR_DRIVER },
	{ build_failed, "build_failed", true, ERROR_BUILD },
	{ build_failed_for_the_new_kernel, "build_failed", true, ERROR_BUILD },
	{ kernel_unversioned, "driver_missing", true, ERROR_DRIVER },
	{ kernel_unversioned_and_no_compiler, "kernel_unversioned", true, ERROR_DRIVER },
	{ not_loaded, "module_not_loaded", true, ERROR_DRIVER },
	{ gpu_in_trouble, "gpu_reset", true, ERROR_DRIVER },
	{ nouveau, "nouveau_bound", true, ERROR_DRIVER },
	{ nova, "nova_bound", true, ERROR_DRIVER },
	{ nouveau_and_no_driver, "driver_missing", true, ERROR_DRIVER },
	{ unsigned_module, "secure_boot", true, ERROR_SECURE_BOOT },
	{ unsigned_without_secure_boot, "signature_enforced", true, ERROR_SECURE_BOOT },
	{ signed_by_a_stranger, "secure_boot", true, ERROR_SECURE_BOOT },
	{ signed_module, "module_not_loaded", true, ERROR_DRIVER },
	{ stale_module, "version_mismatch", true, ERROR_DRIVER },
	{ stale_library, "version_mismatch", true, ERROR_DRIVER },
	{ too_new, "branch_too_new", true, ERROR_DRIVER },
	{ gridd_gone, "gridd_missing", true, ERROR_UNLICENSED },
	{ gridd_stopped, "gridd_stopped", true, ERROR_UNLICENSED },
	{ gridd_disabled, "gridd_disabled", true, ERROR_UNLICENSED },
	{ gridd_masked, "gridd_masked", true, ERROR_UNLICENSED },
	{ gridd_failed, "gridd_crashed", true, ERROR_UNLICENSED },
	{ gridd_failed_over_the_token, "token_malformed", true, ERROR_TOKEN },
	{ conf_unreadable, "gridd_conf", true, ERROR_UNLICENSED },
	{ conf_nonsense, "gridd_conf", true, ERROR_UNLICENSED },
	{ conf_elsewhere, "gridd_conf", true, ERROR_UNLICENSED },
	{ conf_changed, "gridd_conf", false, ERROR_UNLICENSED },
	{ type_zero, "feature_type", true, ERROR_UNLICENSED },
	{ type_of_a_vgpu, "feature_type", true, ERROR_UNLICENSED },
	{ token_none, "token_missing", true, ERROR_TOKEN },
	{ token_dark, "token_unreadable", true, ERROR_TOKEN },
	{ token_late, "token_unreadable", true, ERROR_TOKEN },
	{ token_broken, "token_malformed", true, ERROR_TOKEN },
	{ token_unsigned, "token_malformed", false, ERROR_TOKEN },
	{ token_old, "token_expired", true, ERROR_TOKEN },
	{ token_early, "token_not_yet_valid", true, ERROR_TOKEN },
	{ token_early_by_a_wrong_clock, "clock", true, ERROR_UNLICENSED },
	{ token_old_by_a_wrong_clock, "clock", true, ERROR_UNLICENSED },
	{ token_two, "token_several", true, ERROR_TOKEN },
	{ clock_ahead, "clock", true, ERROR_UNLICENSED },
	{ clock_near, "unknown", false, ERROR_UNLICENSED },
	{ clock_unknown, "clock", true, ERROR_UNLICENSED },
	{ server_unknown, "dns", true, ERROR_UNLICENSED },
	{ server_unknown_behind_a_proxy, "dns", false, ERROR_UNLICENSED },
	{ server_silent_behind_a_proxy, "port_filtered", false, ERROR_UNLICENSED },
	{ server_of_another_form, "token_malformed", true, ERROR_TOKEN },
	{ server_closed, "port_refused", true, ERROR_UNLICENSED },
	{ server_silent, "port_filtered", true, ERROR_UNLICENSED },
	{ server_plain, "tls", true, ERROR_UNLICENSED },
	{ pool_empty, "pool_empty", true, ERROR_UNLICENSED },
	{ pool_empty_behind_a_closed_port, "pool_empty", true, ERROR_UNLICENSED },
	{ server_old, "server_too_old", false, ERROR_UNLICENSED },
	{ windback, "clock_windback", true, ERROR_UNLICENSED },
	{ store, "trusted_store", true, ERROR_UNLICENSED },
	{ license_old, "license_expired", true, ERROR_UNLICENSED },
	{ any_word, "unknown", false, ERROR_UNLICENSED },
	{ nothing, "unknown", false, ERROR_UNLICENSED },
};

static void each_finding_names_its_cause_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct doctor_facts facts = unlicensed();
		struct doctor_causes causes;

		cases[i].change(&facts);
		doctor_decide(&facts, &causes);

		assert_true(causes.count > 0);
		if (strcmp(causes.list[0].code, cases[i].code) != 0)
			fail_msg("case %zu: %s is named, not %s", i, causes.list[0].code,
				 cases[i].code);
		if (causes.list[0].certain != cases[i].certain ||
		    doctor_status(&facts, &causes) != cases[i].status)
			fail_msg("case %zu (%s): certain %d, status %d", i, cases[i].code,
				 causes.list[0].certain, doctor_status(&facts, &causes));
		for (size_t k = 0; k < causes.count; k++) {
			assert_true(causes.list[k].message[0] != '\0');
			assert_true(causes.list[k].hint[0] != '\0');
		}
	}
}

/* Only where another run would end at the same step. */
static void the_run_that_failed_is_not_advised_again(void **state)
{
	static const struct {
		void (*change)(struct doctor_facts *facts);
		const char *step;
		bool told;
	} rows[] = {
		{ driver_missing, "", false },      { driver_missing, "match", true },
		{ smi_missing, "fetch", true },     { driver_missing, "install", true },
		{ other_kernel, "build", true },    { other_vermagic, "unpack", true },
		{ driver_missing, "token", false }, { gridd_gone, "metadata", true },
		{ token_none, "token", true },      { token_none, "match", true },
		{ token_none, "license", false },   { server_closed, "license", false },
		{ gridd_disabled, "match", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct doctor_facts facts = unlicensed();
		struct doctor_causes causes;
		const struct doctor_cause *cause = &causes.list[0];

		rows[i].change(&facts);
		fail_run(&facts, rows[i].step);
		doctor_decide(&facts, &causes);

		if ((strstr(cause->message, "what it said") != NULL) != rows[i].told ||
		    (strcmp(cause->hint, "its way out") == 0) != rows[i].told)
			fail_msg("row %zu: %s (%s)", i, cause->message, cause->hint);
	}
}

static void while_all_is_licensed_no_cause_is_certain_and_the_status_is_0(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	facts.licensed = true;
	doctor_decide(&facts, &causes);
	assert_int_equal(causes.count, 0);

	gridd_disabled(&facts);
	server_closed(&facts);
	doctor_decide(&facts, &causes);
	assert_int_equal(causes.count, 2);
	assert_false(causes.list[0].certain || causes.list[1].certain);
	assert_int_equal(doctor_status(&facts, &causes), ERROR_NONE);
}

static void what_follows_from_a_broken_driver_is_only_perhaps_a_cause(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	not_loaded(&facts);
	gridd_failed(&facts);
	doctor_decide(&facts, &causes);

	assert_int_equal(causes.count, 2);
	assert_string_equal(causes.list[1].code, "gridd_crashed");
	assert_false(causes.list[1].certain);
}

static void a_gpu_that_needs_no_license_has_no_license_s_causes(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	facts.needs_license = false;
	facts.licensed = true;
	gridd_gone(&facts);
	token_none(&facts);
	doctor_decide(&facts, &causes);

	assert_int_equal(causes.count, 0);
	assert_int_equal(doctor_status(&facts, &causes), ERROR_NONE);
}

static void what_could_not_be_looked_at_decides_nothing(void **state)
{
	struct doctor_facts facts = {
		.now = NOW,
		.gpus = 1,
		.has_vgpu = true,
		.smi_answers = true,
		.needs_license = true,
	};
	struct doctor_causes causes;

	(void)state;
	doctor_decide(&facts, &causes);

	assert_int_equal(causes.count, 1);
	assert_string_equal(causes.list[0].code, "unknown");
}

static void control_bytes_of_the_daemon_s_words_are_not_repeated(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	complain(&facts, "pool_empty");
	strcpy(facts.reason.message, "no\033[31m pool");
	doctor_decide(&facts, &causes);

	assert_null(strchr(causes.list[0].message, '\033'));
}

static void the_clock_s_cause_says_by_how_much(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	facts.clock_offset = -7200;
	doctor_decide(&facts, &causes);

	assert_non_null(strstr(causes.list[0].message, "7200 s behind"));
}

/* As the status knows them: nobody was asked over the network. */
static const char *reason_of(struct doctor_facts facts)
{
	static struct license_reason reason;

	facts.server = DOCTOR_SERVER_UNASKED;
	facts.clock_known = false;
	reason = (struct license_reason){ 0 };
	return doctor_reason(&facts, &reason) ? reason.code : "";
}

static void the_reason_is_what_is_certain_or_what_the_daemon_says(void **state)
{
	struct doctor_facts facts = unlicensed();

	(void)state;
	assert_string_equal(reason_of(facts), "");
	complain(&facts, "unknown");
	assert_string_equal(reason_of(facts), "unknown");
	complain(&facts, "pool_empty");
	assert_string_equal(reason_of(facts), "pool_empty");
	facts.token_end = NOW - DAY;
	assert_string_equal(reason_of(facts), "token_expired");

	facts = unlicensed();
	gridd_stopped(&facts);
	assert_string_equal(reason_of(facts), "gridd_stopped");
	facts = unlicensed();
	strcpy(facts.feature_type, "0");
	assert_string_equal(reason_of(facts), "feature_type");
	/* It runs, and will not at the next boot: that explains nothing. */
	facts = unlicensed();
	facts.unit_enabled = DOCTOR_NO;
	assert_string_equal(reason_of(facts), "");
}

static void that_something_enforces_is_no_cause(void **state)
{
	struct doctor_facts facts = unlicensed();
	struct doctor_causes causes;

	(void)state;
	enforced_alone(&facts);
	doctor_decide(&facts, &causes);

	for (size_t i = 0; i < causes.count; i++)
		assert_string_not_equal(causes.list[i].code, "mac_denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(that_something_enforces_is_no_cause),
		cmocka_unit_test(the_reason_is_what_is_certain_or_what_the_daemon_says),
		cmocka_unit_test(each_finding_names_its_cause_first),
		cmocka_unit_test(the_run_that_failed_is_not_advised_again),
		cmocka_unit_test(
			while_all_is_licensed_no_cause_is_certain_and_the_status_is_0),
		cmocka_unit_test(
			what_follows_from_a_broken_driver_is_only_perhaps_a_cause),
		cmocka_unit_test(a_gpu_that_needs_no_license_has_no_license_s_causes),
		cmocka_unit_test(what_could_not_be_looked_at_decides_nothing),
		cmocka_unit_test(control_bytes_of_the_daemon_s_words_are_not_repeated),
		cmocka_unit_test(the_clock_s_cause_says_by_how_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
