/* SPDX-License-Identifier: Apache-2.0 */
#include "core/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static struct settings settings, base;

static void begin(void)
{
	settings_init(&settings);
	settings_init(&base);
}

static void put_secret(const struct sysroot *sysroot, const char *path, const char *text,
		       mode_t mode)
{
	char full[128];

	sysroot_write(sysroot, path, text);
	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(chmod(full, mode), 0);
}

static void files_travel_as_sealed_memory(void **state)
{
	const struct sysroot *sysroot = *state;
	struct transport transport;
	struct error err = ERROR_INIT;
	char found[32] = "";
	int fd;

	begin();
	put_secret(sysroot, "/ca.pem", "authority", 0644);
	put_secret(sysroot, "/header", "X-Guard: x", 0600);
	(void)text_copy(settings.http.ca_file, sizeof(settings.http.ca_file), "/ca.pem");
	(void)text_copy(settings.http.header_file, sizeof(settings.http.header_file),
			"/header");

	assert_int_equal(transport_open(&settings, &base, &sysroot->root, &sysroot->root,
					&transport, &err),
			 0);

	assert_int_equal(transport.fd_count, 2);
	assert_int_equal(json_get_int(transport.http, "ca", -1), CHANNEL_FIRST_FILE);
	assert_int_equal(json_get_int(transport.http, "header", -1),
			 CHANNEL_FIRST_FILE + 1);
	assert_int_equal(json_get_int(transport.http, "cert", -1), -1);
	fd = transport.fds[1];
	assert_int_equal(pread(fd, found, sizeof(found), 0), 10);
	assert_string_equal(found, "X-Guard: x");
	assert_int_equal(pwrite(fd, "y", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	transport_done(&transport);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_file_that_others_reach_is_refused(void **state)
{
	static const struct {
		size_t key; /* 0: header, 1: netrc, 2: key, 3: cert alone, 4: ca */
		mode_t mode;
		bool refused;
	} cases[] = {
		{ 0, 0600, false }, { 0, 0640, true },  { 0, 0604, true },
		{ 0, 0644, true },  { 1, 0644, true },  { 2, 0644, true },
		{ 3, 0644, true },  { 3, 0600, false }, { 4, 0644, false },
		{ 4, 0664, true },  { 4, 0646, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *const paths[] = { settings.http.header_file,
					settings.http.netrc_file,
					settings.http.client_key,
					settings.http.client_cert,
					settings.http.ca_file };
		const struct sysroot *sysroot = *state;
		struct transport transport;
		struct error err = ERROR_INIT;

		begin();
		put_secret(sysroot, "/file", "content", cases[i].mode);
		(void)text_copy(paths[cases[i].key], SETTINGS_PATH_MAX, "/file");

		if (transport_open(&settings, &base, &sysroot->root, &sysroot->root,
				   &transport, &err) == 0) {
			assert_false(cases[i].refused);
			transport_done(&transport);
			continue;
		}
		assert_true(cases[i].refused);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_non_null(strstr(err.hint, "chmod"));
		assert_null(strstr(err.text, "content"));
	}
}

/* A public certificate is no secret when its key lies in a file of its own. */
static void a_certificate_beside_its_key_may_be_read(void **state)
{
	const struct sysroot *sysroot = *state;
	struct transport transport;
	struct error err = ERROR_INIT;

	begin();
	put_secret(sysroot, "/cert", "certificate", 0644);
	put_secret(sysroot, "/key", "key", 0600);
	(void)text_copy(settings.http.client_cert, SETTINGS_PATH_MAX, "/cert");
	(void)text_copy(settings.http.client_key, SETTINGS_PATH_MAX, "/key");

	assert_int_equal(transport_open(&settings, &base, &sysroot->root, &sysroot->root,
					&transport, &err),
			 0);
	assert_int_equal(transport.fd_count, 2);
	transport_done(&transport);
}

static void a_missing_file_names_its_setting(void **state)
{
	const struct sysroot *sysroot = *state;
	struct transport transport;
	struct error err = ERROR_INIT;

	begin();
	(void)text_copy(settings.http.netrc_file, SETTINGS_PATH_MAX, "/missing");

	assert_int_equal(transport_open(&settings, &base, &sysroot->root, &sysroot->root,
					&transport, &err),
			 -1);

	assert_non_null(strstr(err.text, "http.netrc_file"));
	assert_non_null(strstr(err.text, "/missing"));
	assert_int_equal(err.errnum, ENOENT);
}

static void a_file_of_the_command_line_is_the_callers(void **state)
{
	const struct sysroot *sysroot = *state;
	struct root image = ROOT_INIT; /* nothing can be opened in it */
	struct transport transport;
	struct error err = ERROR_INIT;

	begin();
	put_secret(sysroot, "/ca.pem", "authority", 0644);
	assert_int_equal(settings_set(&settings, "http.ca_file=/ca.pem", &err), 0);

	assert_int_equal(transport_open(&settings, &base, &image, &sysroot->root,
					&transport, &err),
			 0);
	transport_done(&transport);
}

static void assert_trusts(const char *const *expected, size_t count)
{
	struct root root = ROOT_INIT;
	struct transport transport;
	struct error err = ERROR_INIT;
	const struct json *hosts;

	assert_int_equal(transport_open(&settings, &base, &root, &root, &transport, &err),
			 0);
	hosts = json_get(transport.http, "trusted_hosts");
	assert_int_equal(json_count(hosts), count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(json_as_string(json_at(hosts, i)), expected[i]);
	transport_done(&transport);
}

static void hosts_of_the_metadata_get_no_secret(void **state)
{
	static const char *const expected[] = { "https://pulp.example" };

	(void)state;
	begin();
	(void)text_copy(base.driver.repository, SETTINGS_URL_MAX,
			"https://user@Pulp.example:8443/pulp/content/");
	(void)text_copy(settings.driver.repository, SETTINGS_URL_MAX,
			"https://evil.example/");
	settings.driver_layer = SETTINGS_METADATA;

	assert_trusts(expected, 1);
}

static void hosts_of_the_command_line_do(void **state)
{
	static const char *const expected[] = { "pulp.example", "https://other.example" };

	(void)state;
	begin();
	(void)text_copy(base.driver.repository, SETTINGS_URL_MAX, "http://pulp.example/");
	(void)text_copy(settings.driver.url, SETTINGS_URL_MAX,
			"https://other.example/x.run");
	settings.driver_layer = SETTINGS_COMMAND;

	assert_trusts(expected, 2);
}

static void what_is_no_web_address_names_no_host(void **state)
{
	(void)state;
	begin();
	(void)text_copy(base.driver.url, SETTINGS_URL_MAX, "file:///tmp/x.run");
	(void)text_copy(base.driver.repository, SETTINGS_URL_MAX,
			"https://good.example\\@evil.example/");

	assert_trusts(NULL, 0);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(files_travel_as_sealed_memory),
		sysroot_test(a_file_that_others_reach_is_refused),
		sysroot_test(a_certificate_beside_its_key_may_be_read),
		sysroot_test(a_missing_file_names_its_setting),
		sysroot_test(a_file_of_the_command_line_is_the_callers),
		cmocka_unit_test(hosts_of_the_metadata_get_no_secret),
		cmocka_unit_test(hosts_of_the_command_line_do),
		cmocka_unit_test(what_is_no_web_address_names_no_host),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
