/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/transport_for.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "base/text.h"
#include "core/transport.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define OWN "machine pulp.example login me password word\n"
#define OTHERS "machine other.example login you password secret\n"

/* What the transport has, with each file of the section `http`. */
static const struct {
	const char *key;
	bool credential;
	const char *content, *handed;
} files[] = {
	{ "ca", false, "authority", "authority" },
	{ "cert", true, "certificate", "certificate" },
	{ "key", true, "key", "key" },
	{ "netrc", true, OTHERS OWN, OWN },
	{ "header", true, "X-Guard: x", "X-Guard: x" },
};

static void open_all(const struct sysroot *sysroot, const char *repository,
		     struct transport *ret_transport)
{
	static struct settings settings, base;
	char *const paths[] = { settings.http.ca_file, settings.http.client_cert,
				settings.http.client_key, settings.http.netrc_file,
				settings.http.header_file };
	struct error err = ERROR_INIT;

	settings_init(&settings);
	settings_init(&base);
	(void)text_copy(base.driver.repository, SETTINGS_URL_MAX, repository);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char full[128];

		(void)snprintf(paths[i], SETTINGS_PATH_MAX, "/%s", files[i].key);
		sysroot_write(sysroot, paths[i], files[i].content);
		(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, paths[i]);
		assert_int_equal(chmod(full, 0600), 0);
	}
	assert_int_equal(transport_open(&settings, &base, &sysroot->root, &sysroot->root,
					ret_transport, &err),
			 0);
	assert_int_equal(ret_transport->fd_count, ARRAY_SIZE(files));
}

static void assert_handed(const struct transport *all, const struct transport *part,
			  const char *url, bool trusted)
{
	assert_int_equal(part->fd_count, all->fd_count);
	assert_non_null(json_get(part->http, "proxy"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int64_t number = json_get_int(part->http, files[i].key, -1);
		bool handed = trusted || !files[i].credential;
		char found[128] = "";

		if ((number >= 0) != handed || (part->fds[i] >= 0) != handed)
			fail_msg("%s: %s", url, files[i].key);
		if (!handed)
			continue;
		assert_int_equal(number, json_get_int(all->http, files[i].key, -1));
		assert_true(pread(part->fds[i], found, sizeof(found) - 1, 0) >= 0);
		assert_string_equal(found, files[i].handed);
	}
}

static void only_a_host_of_the_configuration_gets_credentials_and_its_own(void **state)
{
	static const struct {
		const char *repository, *url;
		bool trusted;
	} cases[] = {
		{ "https://pulp.example/p/", "https://pulp.example/p/x.run", true },
		{ "https://pulp.example/p/", "https://PULP.example:8443/y.run", true },
		{ "http://pulp.example/p/", "https://pulp.example/x.run", true },
		{ "http://pulp.example/p/", "http://pulp.example/x.run", true },
		{ "https://pulp.example/p/", "http://pulp.example/p/x.run", false },
		{ "https://pulp.example/p/", "https://other.example/x.run", false },
		{ "https://pulp.example/p/", "https://pulp.example.evil.example/",
		  false },
		{ "https://pulp.example/p/", "https://my.pulp.example/", false },
		{ "https://pulp.example/p/", "https://pulp.example@evil.example/",
		  false },
		{ "https://pulp.example/p/", "ftp://pulp.example/", false },
		{ "https://pulp.example/p/", "", false },
		{ "", "https://pulp.example/x.run", false },
	};
	struct transport transport;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(transport_for_done) struct transport_for part =
			TRANSPORT_FOR_INIT;
		struct error err = ERROR_INIT;

		open_all(*state, cases[i].repository, &transport);
		assert_int_equal(transport_for(&transport, cases[i].url, &part, &err), 0);
		assert_handed(&transport, &part.transport, cases[i].url,
			      cases[i].trusted);
		transport_done(&transport);
	}
}

/* Each job has a part of its own, and the whole stays for the next. */
static void a_part_takes_nothing_from_the_whole(void **state)
{
	struct transport transport;
	struct error err = ERROR_INIT;
	char found[128] = "";

	open_all(*state, "https://pulp.example/", &transport);
	for (int times = 0; times < 2; times++) {
		cleanup(transport_for_done) struct transport_for part =
			TRANSPORT_FOR_INIT;
		int netrc;

		assert_int_equal(
			transport_for(&transport, "https://pulp.example/", &part, &err),
			0);
		assert_handed(&transport, &part.transport, "again", true);
		netrc = part.netrc;
		assert_true(fcntl(netrc, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(pwrite(netrc, "y", 1, 0), -1);
		transport_for_done(&part);
		assert_int_equal(fcntl(netrc, F_GETFD), -1);
	}
	assert_true(pread(transport.fds[3], found, sizeof(found) - 1, 0) > 0);
	assert_string_equal(found, OTHERS OWN);
	transport_done(&transport);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(
			only_a_host_of_the_configuration_gets_credentials_and_its_own),
		sysroot_test(a_part_takes_nothing_from_the_whole),
	};

	return cmocka_run_group_tests_name("transport_for", tests, NULL, NULL);
}
