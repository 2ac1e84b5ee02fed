/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/redact.h"

#include <string.h>

#include "support/cmocka.h"

#define KEY "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"

static const struct {
	const char *text, *clean;
} cases[] = {
	{ "", "" },
	{ "FeatureType=1\n", "FeatureType=1\n" },
	{ "token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJOTFMifQ." KEY " end",
	  "token [redacted].[redacted].[redacted] end" },
	{ "gluedeyJhbGciOiJSUzI1NiJ9", "glued[redacted]" },
	{ "eyJ is short", "eyJ is short" },
	{ KEY, "[redacted]" },
	/* Names, checksums and UUIDs are no secrets. */
	{ "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip",
	  "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip" },
	{ "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "GPU-1b2c3d4e-032a-11f0-825b-5c07a73a413d is here",
	  "GPU-1b2c3d4e-032a-11f0-825b-5c07a73a413d is here" },
	{ "https://host/a/b.zip: HTTP 404", "https://host/a/b.zip: HTTP 404" },
	{ "https://me:pass@host/a?sig=x&y=z \"next\"",
	  "https://[redacted]@host/a?[redacted] \"next\"" },
	{ "http://me:p@ss@host:80", "http://[redacted]@host:80" },
	{ "http://host/a@b", "http://host/a@b" },
	{ "https://host/eyJhbGciOiJSUzI1NiJ9/x", "https://host/[redacted]/x" },
	{ "{\"url\":\"http://a:b@c/?d\",\"e\":1}",
	  "{\"url\":\"http://[redacted]@c/?[redacted]\",\"e\":1}" },
	{ "{\"password\": \"a\\\"b\", \"next\": 1}",
	  "{\"password\": \"[redacted]\", \"next\": 1}" },
	{ "Authorization: Basic abc\nnext", "Authorization: [redacted]\nnext" },
	{ "sent \"Bearer a1B/c.d~e\" twice", "sent \"Bearer [redacted]\" twice" },
	{ "Basic dXNlcjpwYXNz, next", "Basic [redacted] next" },
	{ "Basic authentication failed", "Basic authentication failed" },
	{ "Bearer of news", "Bearer of news" },
	{ "ProxyPassword=x y\nFeatureType=1", "ProxyPassword=[redacted]\nFeatureType=1" },
	{ "client_secret=abc", "client_secret=[redacted]" },
	/* A key in PEM has lines that '/' cuts into short pieces. */
	{ "a -----BEGIN PRIVATE KEY-----\nMIIE/vQI/BADAN\nab/c=\n-----END PRIVATE "
	  "KEY-----\nb",
	  "a [redacted]-----END PRIVATE KEY-----\nb" },
	{ "x-----BEGIN RSA PRIVATE KEY-----\nMIIE/cut", "x[redacted]" },
	{ "-----BEGIN CERTIFICATE-----\nMIIE/x\n",
	  "-----BEGIN CERTIFICATE-----\nMIIE/x\n" },
	{ "machine h login me password hunter2 next", "machine h login [redacted] next" },
	{ "login me\n\tpassword hunter2", "login [redacted]" },
	{ "the login needs a password here", "the login needs a password here" },
	{ "X-Auth-Token: abc def\nnext", "X-Auth-Token: [redacted]\nnext" },
	{ "x-aws-ec2-metadata-token: abc", "x-aws-ec2-metadata-token: [redacted]" },
	{ "token: no token here", "token: no token here" },
	{ "put the password into a file", "put the password into a file" },
	{ "a\033[31mb\tc\n", "a?[31mb\tc\n" },
	{ "://", "://" },
	{ "://@", "://[redacted]@" },
	{ "password=", "password=" },
	{ "passwordeyJhbGciOiJSUzI1NiJ9=x", "password[redacted]=x" },
};

static void secrets_go_and_all_else_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *clean = redact_text(span_of(cases[i].text));

		assert_non_null(clean);
		assert_string_equal(clean, cases[i].clean);
	}
}

static void nul_bytes_become_text(void **state)
{
	cleanup_free char *clean = redact_text((struct span){ "a\0b", 3 });

	(void)state;
	assert_string_equal(clean, "a?b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_go_and_all_else_stays),
		cmocka_unit_test(nul_bytes_become_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
