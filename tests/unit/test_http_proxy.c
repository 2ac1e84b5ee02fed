/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http_proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

static void no_proxy_names_hosts_domains_and_addresses(void **state)
{
	static const struct {
		const char *list, *host;
		bool excepted;
	} rows[] = {
		{ "", "a.example", false },
		{ "*", "a.example", true },
		{ "*", "10.0.0.1", true },
		{ "a.example", "a.example", true },
		{ "A.Example", "a.example", true },
		{ "a.example", "a.example.", true },
		{ "a.example.", "a.example", true },
		{ "example", "a.example", true },
		{ ".example", "a.example", true },
		{ ".a.example", "a.example", true },
		{ "a.example", "ba.example", false },
		{ "a.example", "example", false },
		{ "b.example, a.example", "a.example", true },
		{ "b.example a.example", "a.example", true },
		{ " , ,", "a.example", false },
		{ ".", "a.example", false },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.10", false },
		{ "0.0.1", "10.0.0.1", false },
		{ "10.0.0.0/8", "10.9.9.9", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/9", "10.127.0.1", true },
		{ "10.0.0.0/9", "10.128.0.1", false },
		{ "10.0.0.0/33", "10.0.0.0", false },
		{ "10.0.0.0/x", "10.0.0.0", false },
		{ "0.0.0.0/0", "10.0.0.1", true },
		{ "0.0.0.0/0", "fd00::1", false },
		{ "fd00::1", "fd00::1", true },
		{ "[fd00::1]", "fd00:0::1", true },
		{ "fd00::/8", "fdff::1", true },
		{ "fd00::/8", "fe00::1", false },
		{ "[", "fd00::1", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (http_proxy_excepts(rows[i].list, rows[i].host) != rows[i].excepted)
			fail_msg("row %zu: %s, %s", i, rows[i].list, rows[i].host);
	}
}

static void each_hop_has_the_proxy_of_its_scheme(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					     "HTTP_PROXY", "all_proxy",   "ALL_PROXY",
					     "no_proxy",   "NO_PROXY" };
	static const struct {
		const char *option; /* NULL: no proxy at all */
		const char *name, *other;
		bool https;
		const char *proxy;
	} rows[] = {
		{ "", "http_proxy", NULL, false, "p" },
		{ "", "http_proxy", NULL, true, "" },
		{ "", "https_proxy", NULL, true, "p" },
		{ "", "https_proxy", NULL, false, "" },
		{ "", "HTTPS_PROXY", NULL, true, "p" },
		{ "", "HTTP_PROXY", NULL, false, "" }, /* a server's header may set it */
		{ "", "all_proxy", NULL, false, "p" },
		{ "", "ALL_PROXY", NULL, true, "p" },
		{ "", "http_proxy", "no_proxy", false, "" },
		{ "", "all_proxy", "NO_PROXY", true, "" },
		{ "q", "http_proxy", NULL, false, "q" },
		{ "q", "http_proxy", "no_proxy", false, "" },
		{ NULL, "http_proxy", NULL, false, "" },
		{ NULL, "all_proxy", NULL, true, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_options options = { .proxy = rows[i].option };
		const struct url url = { .https = rows[i].https, .host = "h.example" };
		const char *proxy;

		for (size_t j = 0; j < ARRAY_SIZE(names); j++)
			assert_int_equal(unsetenv(names[j]), 0);
		assert_int_equal(setenv(rows[i].name, "p", 1), 0);
		if (rows[i].other)
			assert_int_equal(setenv(rows[i].other, "example", 1), 0);
		proxy = http_proxy_of(&options, &url);
		if (strcmp(proxy, rows[i].proxy) != 0)
			fail_msg("row %zu: \"%s\"", i, proxy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_proxy_names_hosts_domains_and_addresses),
		cmocka_unit_test(each_hop_has_the_proxy_of_its_scheme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
