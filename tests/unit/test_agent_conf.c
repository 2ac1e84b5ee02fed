/* SPDX-License-Identifier: Apache-2.0 */

/* agent.conf, as it is installed, says every key with its default: nothing more or less.
 */

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "model/settings/settings.h"
#include "support/cmocka.h"

#define AGENT_CONF TEST_DATA_DIR "/../../agent/dist/agent.conf"

static char *conf;
static size_t conf_size;
static size_t keys;

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int fd = open(AGENT_CONF, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_read_fd(fd, 1u << 20, &conf, &conf_size, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(conf);
	return 0;
}

static bool same_value(void *context, const char *key, const struct json *setting)
{
	const struct json *other = json_get(json_get(context, key), "value");
	cleanup_free char *expected = json_print(json_get(setting, "value"));
	cleanup_free char *actual = json_print(other);

	print_message("%s\n", key);
	assert_string_equal(actual, expected);
	/* "license.gridd" is a group without keys of its own. */
	assert_non_null(strstr(conf, strrchr(key, '.') + 1));
	keys++;
	return true;
}

static void it_holds_every_key_with_its_default(void **state)
{
	static struct settings defaults, read;
	struct error err = ERROR_INIT;
	cleanup_json struct json *expected = NULL, *actual = NULL;

	(void)state;
	settings_init(&defaults);
	settings_init(&read);

	assert_int_equal(
		settings_read(&read, conf, conf_size, "agent.conf", SETTINGS_FILE, &err),
		0);

	expected = settings_json(&defaults);
	actual = settings_json(&read);
	json_each(expected, same_value, actual);
	assert_true(keys > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_every_key_with_its_default),
	};

	return cmocka_run_group_tests_name("agent_conf", tests, setup, teardown);
}
