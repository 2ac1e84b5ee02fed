/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/keyring.h"

#include "support/cmocka.h"

#define ID "4049da02d0082d477ec27bc1324e41268f84a087"
#define OF_KERNEL "0035c522 I------     1 perm 1f030000     0     0 asymmetri "
#define OTHER     \
	OF_KERNEL \
	"Somebody: 13adbf4309bd82709c8cd54f316ed522988a1bd4: X509.rsa 988a1bd4 []\n"
#define BEHIND ": X509.rsa 8f84a087 []\n"

/* Lines as Debian's kernel 6.1 has them with Secure Boot on. */
static void a_certificate_is_known_by_its_key_id_alone(void **state)
{
	static const struct {
		const char *what, *keys;
		bool known;
	} rows[] = {
		{ "a common name", OTHER OF_KERNEL "Acme: " ID BEHIND, true },
		{ "organization and name",
		  OF_KERNEL "Acme Cloud: vGPU module signing key: " ID BEHIND OTHER,
		  true },
		{ "another alphabet", OF_KERNEL "Schl\303\274ssel: " ID BEHIND, true },
		{ "no name", OF_KERNEL ": " ID BEHIND, true },
		{ "no key identifier in its summary",
		  OF_KERNEL "Acme: " ID ": X509.rsa []\n", true },
		{ "an elliptic curve",
		  OF_KERNEL "Acme: " ID ": X509.ecdsa-nist-p256 "
			    "8f84a087 []\n",
		  true },
		{ "a name that looks like one", OF_KERNEL "A: X509.: " ID BEHIND, true },
		{ "the last line has no end", OF_KERNEL "Acme: " ID ": X509.rsa", true },
		{ "nothing", "", false },
		{ "another", OTHER, false },
		{ "a longer id", OF_KERNEL "Acme: 00" ID BEHIND, false },
		{ "a shorter id", OF_KERNEL "Acme: 49da02d0082d477e" BEHIND, false },
		{ "the name says the id",
		  OF_KERNEL "x: " ID ": X509.rsa: 13adbf: X509.rsa 988a1bd4 []\n",
		  false },
		{ "a user's own, which counts against a quota",
		  "0035c522 I--Q---     1 perm 3f010000  1000  1000 asymmetri Acme: " ID
			  BEHIND,
		  false },
		{ "revoked",
		  "0035c522 IR-----     1 perm 1f030000     0     0 asymmetri Acme: " ID
			  BEHIND,
		  false },
		{ "invalidated",
		  "0035c522 I-----i     1 perm 1f030000     0     0 asymmetri Acme: " ID
			  BEHIND,
		  false },
		{ "a hash of the firmware's that is forbidden",
		  "003eee2a I------     2 perm 09090000     0     0 blacklist x: " ID
			  BEHIND,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (keyring_has(span_of(rows[i].keys), ID) != rows[i].known)
			fail_msg("%s", rows[i].what);
	}
	assert_false(keyring_has(span_of(OF_KERNEL ": : X509.rsa []\n"), ""));
}

static void who_sees_no_key_of_the_kernels_knows_nothing(void **state)
{
	(void)state;
	assert_true(keyring_is_shown(span_of(OTHER)));
	assert_false(keyring_is_shown(span_of("")));
	assert_false(keyring_is_shown(span_of(
		"13b1472f I--Q---     1 perm 1f3f0000  1000 65534 keyring   _uid_ses.1000: 1\n"
		"0035c522 I--Q---     1 perm 3f010000  1000  1000 asymmetri Acme: " ID
			BEHIND)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_known_by_its_key_id_alone),
		cmocka_unit_test(who_sees_no_key_of_the_kernels_knows_nothing),
	};

	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
