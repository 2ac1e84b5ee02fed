/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/doctor/doctor_rules.h"

static const struct {
	const char *code;
	enum error_code status;
} statuses[] = {
	{ "no_gpu", ERROR_NO_GPU },
	{ "driver_missing", ERROR_DRIVER },
	{ "driver_other_kernel", ERROR_DRIVER },
	{ "build_failed", ERROR_BUILD },
	{ "module_not_loaded", ERROR_DRIVER },
	{ "nouveau_bound", ERROR_DRIVER },
	{ "nova_bound", ERROR_DRIVER },
	{ "secure_boot", ERROR_SECURE_BOOT },
	{ "signature_enforced", ERROR_SECURE_BOOT },
	{ "version_mismatch", ERROR_DRIVER },
	{ "branch_too_new", ERROR_DRIVER },
	{ "token_missing", ERROR_TOKEN },
	{ "token_unreadable", ERROR_TOKEN },
	{ "token_malformed", ERROR_TOKEN },
	{ "token_expired", ERROR_TOKEN },
	{ "token_not_yet_valid", ERROR_TOKEN },
	{ "token_several", ERROR_TOKEN },
};

static bool is_well(const struct doctor_facts *facts)
{
	return facts->gpus > 0 && facts->smi_answers && facts->licensed;
}

enum error_code doctor_status(const struct doctor_facts *facts,
			      const struct doctor_causes *causes)
{
	if (is_well(facts))
		return ERROR_NONE;
	for (size_t i = 0; causes->count > 0 && i < ARRAY_SIZE(statuses); i++) {
		if (strcmp(causes->list[0].code, statuses[i].code) == 0)
			return statuses[i].status;
	}
	return facts->smi_answers ? ERROR_UNLICENSED : ERROR_DRIVER;
}

/* Keeps the order of those that are equally sure. */
static void put_certain_first(struct doctor_causes *causes)
{
	struct doctor_causes sorted = { 0 };

	for (int certain = 1; certain >= 0; certain--) {
		for (size_t i = 0; i < causes->count; i++) {
			if (causes->list[i].certain == (certain == 1))
				sorted.list[sorted.count++] = causes->list[i];
		}
	}
	for (size_t i = 0; i < sorted.count; i++)
		text_sanitize(sorted.list[i].message);
	*causes = sorted;
}

void doctor_decide(const struct doctor_facts *facts, struct doctor_causes *ret_causes)
{
	struct doctor_causes causes = { 0 };

	doctor_driver_judge(facts, &causes);
	/* Where the driver does not work, what else is wrong may be its consequence. */
	if (facts->gpus > 0 && facts->needs_license) {
		size_t before = causes.count;

		doctor_license_judge(facts, &causes);
		for (size_t i = before; !facts->smi_answers && i < causes.count; i++)
			causes.list[i].certain = false;
	}
	for (size_t i = 0; is_well(facts) && i < causes.count; i++)
		causes.list[i].certain = false;
	put_certain_first(&causes);
	if (causes.count == 0 && !is_well(facts))
		doctor_license_unexplained(facts, &causes);

	*ret_causes = causes;
}

bool doctor_reason(const struct doctor_facts *facts, struct license_reason *ret_reason)
{
	struct doctor_causes causes = { 0 };
	const struct doctor_cause *first = &causes.list[0];

	doctor_license_judge(facts, &causes);
	put_certain_first(&causes);
	if (causes.count > 0 && first->certain &&
	    !(facts->reason.code && strcmp(first->code, facts->reason.code) == 0)) {
		*ret_reason = (struct license_reason){ .code = first->code };
		(void)text_copy(ret_reason->message, sizeof(ret_reason->message),
				first->message);
		(void)text_copy(ret_reason->hint, sizeof(ret_reason->hint), first->hint);
		return true;
	}
	if (facts->reason.code)
		*ret_reason = facts->reason;
	return facts->reason.code != NULL;
}

struct json *doctor_causes_json(const struct doctor_causes *causes)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < causes->count; i++) {
		const struct doctor_cause *cause = &causes->list[i];
		struct json *item = json_build(
			"{s:s, s:b, s:o, s:o}", "code", cause->code, "certain",
			(int)cause->certain, "message", json_words(cause->message),
			"hint", json_words(cause->hint));

		if (json_append(list, item) < 0)
			return NULL;
	}
	return take_ptr(list);
}
