/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/certificate.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka.h"
#include "support/openssl.h"
#include "support/sysroot.h"

#define NEW "req -new -x509 -newkey rsa:2048 -nodes -utf8 -days 30 "
#define PLAIN NEW "-keyout k.pem -out c.pem "
#define SKID "-addext subjectKeyIdentifier="
#define LONG "Acme key with a common name of exactly sixty-four characters 006"

static char folder[512];
static char *certificate, *key;
static size_t certificate_size, key_size;

static int setup(void **state)
{
	if (sysroot_setup(state) != 0)
		return -1;
	(void)snprintf(folder, sizeof(folder), "%s",
		       ((const struct sysroot *)*state)->dir);
	return 0;
}

static void read_pair(const char *cert_name, const char *key_name)
{
	certificate = openssl_read(folder, cert_name, &certificate_size);
	key = openssl_read(folder, key_name, &key_size);
}

static void forget_pair(void)
{
	free(certificate);
	free(key);
}

/* What the kernel's x509_key_preparse() makes of each, and people read. */
static void each_kind_has_the_id_and_name_that_the_kernel_shows(void **state)
{
	static const struct {
		const char *make, *file, *key_id, *name, *kind;
	} rows[] = {
		{ PLAIN "-subj /CN=Acme " SKID "AB:01:02", "c.pem", "ab0102", "Acme",
		  "RSA" },
		{ PLAIN "-subj '/O=Acme Cloud/CN=vGPU modules' " SKID "AB:01", "c.pem",
		  "ab01", "vGPU modules", "RSA" },
		{ PLAIN "-subj '/CN=" LONG "' " SKID "AB:01", "c.pem", "ab01", LONG,
		  "RSA" },
		{ PLAIN "-subj '/CN=Schl\303\274ssel' " SKID "AB:01", "c.pem", "ab01",
		  "Schl??ssel", "RSA" },
		{ PLAIN "-subj '/O=Acme Cloud' " SKID "AB:01", "c.pem", "ab01",
		  "Acme Cloud", "RSA" },
		{ PLAIN "-subj /C=DE " SKID "AB:01", "c.pem", "ab01", "no name", "RSA" },
		{ PLAIN "-subj /CN=Acme " SKID "00:AB:01", "c.pem", "ab01", "Acme",
		  "RSA" },
		{ PLAIN "-subj /CN=Acme -set_serial 0x2dd0c5 " SKID "none", "c.pem",
		  "2dd0c5", "Acme", "RSA" },
		{ PLAIN "-subj /CN=Acme -set_serial 0xd0c5 " SKID "none", "c.pem", "d0c5",
		  "Acme", "RSA" },
		{ "req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		  "-keyout k.pem -out c.pem -subj /CN=Acme " SKID "AB:01",
		  "c.pem", "ab01", "Acme", "EC" },
		{ PLAIN "-outform DER -subj /CN=Acme " SKID "AB:01", "c.pem", "ab01",
		  "Acme", "RSA" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct certificate found;

		openssl_do(folder, rows[i].make);
		read_pair(rows[i].file, "k.pem");
		if (certificate_read((struct span){ certificate, certificate_size },
				     &found, &err) < 0)
			fail_msg("%s: %s", rows[i].make, err.text);
		if (strcmp(found.key_id, rows[i].key_id) != 0 ||
		    strcmp(found.name, rows[i].name) != 0 ||
		    strcmp(found.kind, rows[i].kind) != 0)
			fail_msg("%s: %s %s %s", rows[i].make, found.key_id, found.name,
				 found.kind);
		assert_int_equal(certificate_check_key(
					 (struct span){ certificate, certificate_size },
					 (struct span){ key, key_size }, &err),
				 0);
		forget_pair();
	}
}

static void what_is_no_certificate_is_refused(void **state)
{
	static const char *const texts[] = { "", "no certificate",
					     "-----BEGIN CERTIFICATE-----\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = ERROR_INIT;
		struct certificate found;

		assert_int_equal(certificate_read(span_of(texts[i]), &found, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_null(certificate_pem(span_of(texts[i])));
	}
}

static void a_key_that_cannot_sign_is_refused_in_its_own_words(void **state)
{
	static const struct {
		const char *make, *file, *words;
	} rows[] = {
		{ "pkey -in k.pem -aes128 -passout pass:secret -out new.pem", "new.pem",
		  "passphrase" },
		{ "rsa -traditional -in k.pem -aes128 -passout pass:secret -out new.pem",
		  "new.pem", "passphrase" },
		{ "pkey -in k.pem -outform DER -out new.pem", "new.pem", "it is DER" },
		{ "genrsa -out new.pem 2048", "new.pem", "not the key of signing.cert" },
		{ "pkey -in k.pem -pubout -out new.pem", "new.pem", "no private key" },
		{ "version", "c.pem", "no private key" },
	};

	(void)state;
	openssl_do(folder, PLAIN "-subj /CN=Acme");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;

		openssl_do(folder, rows[i].make);
		read_pair("c.pem", rows[i].file);
		assert_int_equal(certificate_check_key(
					 (struct span){ certificate, certificate_size },
					 (struct span){ key, key_size }, &err),
				 -1);
		if (err.code != ERROR_USAGE || !strstr(err.text, rows[i].words) ||
		    !err.hint[0])
			fail_msg("%s: %s", rows[i].make, err.text);
		forget_pair();
	}
}

/* As sign-file signs, and otherwise. */
static void only_the_certificates_own_plain_signature_verifies(void **state)
{
#define SIGN "cms -sign -binary -nocerts -outform DER -md sha256 -in content "
#define OURS "-signer c.pem -inkey k.pem -out s"
	static const struct {
		const char *make, *content;
		bool verifies;
	} rows[] = {
		{ SIGN "-noattr " OURS, "what is signed", true },
		{ SIGN "-noattr -keyid " OURS, "what is signed", true },
		{ SIGN "-noattr " OURS, "what is not signed", false },
		{ SIGN OURS, "what is signed", false },
		{ SIGN "-noattr -signer other.pem -inkey other.key -out s",
		  "what is signed", false },
		{ "rand -out s 300", "what is signed", false },
	};
	const struct sysroot *sysroot = *state;

	openssl_do(folder, NEW "-subj /CN=Acme -keyout other.key -out other.pem");
	openssl_do(folder, PLAIN "-subj /CN=Acme");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *signature;
		size_t size;

		sysroot_write(sysroot, "/content", "what is signed");
		openssl_do(folder, rows[i].make);
		read_pair("c.pem", "k.pem");
		signature = openssl_read(folder, "s", &size);
		if (certificate_verifies((struct span){ certificate, certificate_size },
					 span_of(rows[i].content),
					 (struct span){ signature, size }) !=
		    rows[i].verifies)
			fail_msg("row %zu", i);
		free(signature);
		forget_pair();
	}
}

static void der_becomes_the_same_certificate_in_pem(void **state)
{
	struct error err = ERROR_INIT;
	struct certificate found;
	char title[CERTIFICATE_TITLE_SIZE], *pem;

	(void)state;
	openssl_do(folder, PLAIN "-outform DER -subj /CN=Acme " SKID "AB:01");
	read_pair("c.pem", "k.pem");
	pem = certificate_pem((struct span){ certificate, certificate_size });
	assert_non_null(pem);
	assert_int_equal(certificate_read(span_of(pem), &found, &err), 0);
	certificate_title(&found, title);
	assert_string_equal(title, "Acme: ab01");
	free(pem);
	forget_pair();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_kind_has_the_id_and_name_that_the_kernel_shows),
		TEST(what_is_no_certificate_is_refused),
		TEST(a_key_that_cannot_sign_is_refused_in_its_own_words),
		TEST(only_the_certificates_own_plain_signature_verifies),
		TEST(der_becomes_the_same_certificate_in_pem),
	};

	return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
