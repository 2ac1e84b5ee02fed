/* SPDX-License-Identifier: Apache-2.0 */
#include "model/url.h"

#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

static void host_and_port_are_read(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		bool https;
	} cases[] = {
		{ "https://pulp.example/pulp/content/", "pulp.example", 443, true },
		{ "HTTP://Pulp.Example", "pulp.example", 80, false },
		{ "http://h:8080?x", "h", 8080, false },
		{ "http://h#a@b", "h", 80, false },
		{ "http://h/a@b", "h", 80, false },
		{ "https://user:pa55@h:1/", "h", 1, true },
		{ "https://[2001:DB8::1]:65535/x", "2001:db8::1", 65535, true },
		{ "http://[::1]", "::1", 80, false },
		{ "http://[fe80::A9fe:a9fe%25ens3]/x", "fe80::a9fe:a9fe%ens3", 80,
		  false },
		{ "http://[fe80::1%25br-Lan0.5]:8080", "fe80::1%br-Lan0.5", 8080, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url url;

		if (!url_parse(cases[i].text, &url))
			fail_msg("%s is refused", cases[i].text);
		assert_string_equal(url.host, cases[i].host);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(url.https, cases[i].https);
	}
}

/* Each of these is read as another host by some parser, or is none. */
static void what_two_parsers_may_read_in_two_ways_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"pulp.example",
		"ftp://h/",
		"file:///etc/passwd",
		"http:///x",
		"http://",
		"http://@/",
		"http://good\\@evil/",
		"http://good/\\evil",
		"http://a@b@c/",
		"http://a b/",
		" http://a/",
		"http://a\n/",
		"http://h\x7f/",
		"http://b\xc3\xbcro.example/",
		"http://%31%32%37.0.0.1/",
		"http://h:0/",
		"http://[fe80::1%25]/",
		"http://[fe80::1%ens3]/",
		"http://[fe80::1%25a/b]/",
		"http://[fe80::1%25@evil]/",
		"http://[fe80::1%25sixteen-letters-]/",
		"http://h%25ens3/",
		"http://h:65536/",
		"http://h:/",
		"http://h:80x/",
		"http://h:+80/",
		"http://[::1/",
		"http://[::1]x/",
		"http://::1/",
		"http://a,b/",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url url;

		if (url_parse(cases[i], &url))
			fail_msg("%s is taken for %s", cases[i], url.host);
	}
}

static void too_long_is_refused(void **state)
{
	char text[URL_MAX + 1] = "http://h/", host[320] = "http://";
	struct url url;

	(void)state;
	memset(text + 9, 'x', URL_MAX - 9);
	assert_false(url_parse(text, &url));
	text[URL_MAX - 1] = '\0';
	assert_true(url_parse(text, &url));

	memset(host + 7, 'x', 256);
	assert_false(url_parse(host, &url));
}

static void an_origin_is_scheme_host_and_port(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://h/a", "https://H:443/b?c", true },
		{ "https://h/", "http://h/", false },
		{ "https://h/", "http://h:443/", false },
		{ "https://h/", "https://h:444/", false },
		{ "https://h/", "https://h.x/", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url a, b;

		assert_true(url_parse(cases[i].a, &a));
		assert_true(url_parse(cases[i].b, &b));
		assert_int_equal(url_same_origin(&a, &b), cases[i].same);
	}
}

static void local_hosts_are_known_in_every_spelling(void **state)
{
	static const struct {
		const char *text;
		bool local;
	} cases[] = {
		{ "http://127.0.0.1/", true },
		{ "http://127.255.0.1/", true },
		{ "http://0.0.0.0/", true },
		{ "http://169.254.169.254/", true },
		{ "http://[::1]/", true },
		{ "http://[::]/", true },
		{ "http://[fe80::1]/", true },
		{ "http://[febf::1]/", true },
		{ "http://[::ffff:127.0.0.1]/", true },
		{ "http://[::ffff:a9fe:a9fe]/", true },
		{ "http://[fd00:ec2::254]/", true },
		{ "http://[FD00:0EC2:0::0254]/", true },
		{ "http://[fd00:ec2::253]/", false },
		{ "http://[64:ff9b::127.0.0.1]/", true },
		{ "http://[64:ff9b::a9fe:a9fe]/", true },
		{ "http://[64:ff9b::0.0.0.0]/", true },
		{ "http://[64:ff9b::10.0.0.1]/", false },
		{ "http://[2002:7f00:1::]/", true },
		{ "http://[2002:a9fe:a9fe:1::5]/", true },
		{ "http://[2002:a00:1::1]/", false },
		{ "http://[::127.0.0.1]/", true },
		{ "http://[::169.254.169.254]/", true },
		{ "http://[::10.0.0.1]/", false },
		{ "http://localhost/", true },
		{ "http://localhost./", true },
		{ "http://metadata.localhost/", true },
		{ "http://2130706433/", true },
		{ "http://0x7f000001/", true },
		{ "http://127.1/", true },
		{ "http://0177.0.0.1/", true },
		{ "http://127.0.0.1./", true },
		{ "http://pulp.example/", false },
		{ "http://1.example/", false },
		{ "http://10.0.0.1/", false },
		{ "http://169.253.0.1/", false },
		{ "http://128.0.0.1/", false },
		{ "http://[fec0::1]/", false },
		{ "http://[::2]/", true },
		{ "http://[::ffff:10.0.0.1]/", false },
		{ "http://localhost.example/", false },
		{ "http://notlocalhost/", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url url;

		assert_true(url_parse(cases[i].text, &url));
		if (url_is_local(&url) != cases[i].local)
			fail_msg("%s", cases[i].text);
	}
}

static void secrets_are_not_shown(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "https://h/a/b.zip", "https://h/a/b.zip" },
		{ "https://user:pa55@h:1/a?token=1#f", "https://h:1/a" },
		{ "https://h?token=1", "https://h" },
		{ "https://h#token", "https://h" },
		{ "https://a@pa55@h/x@y", "https://h/x@y" },
		{ "https://h:8080/a@b", "https://h:8080/a@b" },
		{ "https://h?q=u@x", "https://h" },
		{ "user:pa55@h/x", "h/x" },
		{ "user:pa55@proxy:3128", "proxy:3128" },
		{ "file:///a/b@c", "file:///a/b@c" },
		{ "auto", "auto" },
		{ "http://h/\x1b[31m\n", "http://h/?[31m?" },
		{ "", "" },
	};
	char shown[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(url_redact(cases[i].text, shown, sizeof(shown)),
				    cases[i].shown);
	assert_string_equal(url_redact("http://host/long", shown, 12), "http://host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_and_port_are_read),
		cmocka_unit_test(what_two_parsers_may_read_in_two_ways_is_refused),
		cmocka_unit_test(too_long_is_refused),
		cmocka_unit_test(an_origin_is_scheme_host_and_port),
		cmocka_unit_test(local_hosts_are_known_in_every_spelling),
		cmocka_unit_test(secrets_are_not_shown),
	};

	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
