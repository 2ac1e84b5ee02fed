/* wrap: malloc */
/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "support/cmocka.h"

static int fails_at;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails_at > 0 && --fails_at == 0 ? NULL : __real_malloc(size);
}

static void memory_that_is_out_is_never_told_of_the_text(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,\"three\",{\"four\":null}],\"b\":true}";
	int result = -1;

	(void)state;
	for (int nth = 1; result < 0; nth++) {
		cleanup_json struct json *json = NULL;
		struct error err = ERROR_INIT;

		fails_at = nth;
		result = json_parse(text, sizeof(text) - 1, &json, &err);
		fails_at = 0;
		if (result < 0)
			assert_int_equal(err.errnum, ENOMEM);
		else
			assert_true(nth > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_out_is_never_told_of_the_text),
	};

	return cmocka_run_group_tests_name("json_memory", tests, NULL, NULL);
}
