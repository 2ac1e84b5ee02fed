/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why a guest has no license or its driver does not work: what was found, and the causes
 * that follow from it, likeliest first. No look at the system is taken here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/version.h"
#include "model/license/license.h"

#define DOCTOR_CAUSES_MAX 32
#define DOCTOR_CLOCK_OFF_S 60 /* what NTP leaves is far below, what NLS takes above */

/* What could not be looked at (no root, nobody to ask) is UNKNOWN, and decides nothing.
 */
enum doctor_answer { DOCTOR_UNKNOWN, DOCTOR_YES, DOCTOR_NO };

enum doctor_token {
	DOCTOR_TOKEN_UNASKED,
	DOCTOR_TOKEN_MISSING,
	DOCTOR_TOKEN_UNREADABLE,
	DOCTOR_TOKEN_READ,
};

enum doctor_server {
	DOCTOR_SERVER_UNASKED,
	DOCTOR_SERVER_OPEN,
	DOCTOR_SERVER_TLS, /* takes connections, and no TLS comes about */
	DOCTOR_SERVER_REFUSED,
	DOCTOR_SERVER_FILTERED,
	DOCTOR_SERVER_UNRESOLVED,
};

/* Zeroed, it is a guest of which nothing is known. Texts are "" where there is none. */
struct doctor_facts {
	int64_t now;

	/* PCI */
	size_t gpus;
	char nouveau[32], nova[32]; /* address of a GPU that this driver holds */
	char bound[128];            /* what else holds all GPUs, in words */
	char host[VERSION_MAX]; /* the host's driver version, where it could be read */

	/* The driver that is installed. */
	char release[80];              /* of the running kernel */
	bool tools;                    /* nvidia-smi */
	char module[VERSION_MAX];      /* version of the running kernel's module */
	char vermagic[80];             /* the release that this module was built for */
	enum doctor_answer is_signed;  /* this module */
	char other_kernel[80];         /* another kernel that has the module */
	char loaded[VERSION_MAX];      /* version of the loaded module; "?": not known */
	enum doctor_answer enforced;   /* the kernel takes only signed modules */
	bool secure_boot;              /* and the firmware's Secure Boot is why */
	char enforcer[96];             /* how that is known */
	enum doctor_answer is_trusted; /* the key that signed this module */
	char signer[168];              /* "NAME, key id HEX"; "": not known */
	char masked[256];   /* what keeps the module away: "FILE: alias nvidia off" */
	char owners[256];   /* packages that own parts of a driver that does not work */
	char denier[16];    /* "SELinux", "fapolicyd", "IMA": it enforces; "" */
	char denial[200];   /* of what has to do with the driver, since the boot */
	char read_only[64]; /* "/usr" or "/lib/modules", where no driver can be put */

	char unversioned[96]; /* the running kernel's configuration, where that says
				 that its symbols have no versions */
	bool prebuilt_only;   /* no modules are compiled here */

	/* What the last run failed of; step "": of nothing. */
	char failed_step[16], failed[256], failed_hint[256];

	/* What the driver says. */
	bool smi_answers; /* a whole report with all GPUs */
	bool words;       /* of trouble in that report, which is in smi_error */
	char smi_error[256], smi_hint[256];
	char driver_version[VERSION_MAX]; /* of nvidia-smi, else of the module */
	bool licensed;                    /* every GPU that needs a license has one */
	bool needs_license;               /* some GPU does */
	bool has_vgpu;

	/* nvidia-gridd */
	enum doctor_answer gridd_binary, unit_exists, unit_enabled, unit_active,
		unit_failed, unit_masked;
	char unit_detail[96];
	struct license_reason reason; /* of its journal; code NULL: none */
	int64_t last_expiry;          /* of the last license it named; 0: none */

	/* gridd.conf */
	char conf_error[160]; /* why it cannot be read */
	char feature_type[32];
	char token_dir[256];
	bool conf_newer; /* than nvidia-gridd's start */

	/* The token that is installed. */
	enum doctor_token token;
	size_t token_count;
	char token_error[160], token_warning[160]; /* the worker's first of each kind */
	int64_t token_begin, token_end;            /* 0: not known */

	char proxy[160]; /* of nvidia-gridd, by gridd.conf; "" */

	/* The license server that the token names. */
	char server_form[160]; /* what it says where that is no name and no address */
	enum doctor_server server;
	char server_detail[256];
	char server_host[144]; /* as a URL has it */
	int server_port;
	bool clock_known;     /* its Date was read */
	int64_t clock_offset; /* this guest's clock less the server's, seconds */
};

struct doctor_cause {
	const char *code; /* of the contract, static */
	bool certain;     /* seen, and enough to explain it */
	char message[320];
	char hint[320];
};

struct doctor_causes {
	size_t count;
	struct doctor_cause list[DOCTOR_CAUSES_MAX];
};

/*
 * Certain ones first, then by the order in which a guest comes to its license. While all
 * is licensed none is certain: they threaten, and the status is ERROR_NONE.
 */
void doctor_decide(const struct doctor_facts *facts, struct doctor_causes *ret_causes);

/*
 * Why the driver shows no license, by what is known of daemon, token and gridd.conf: the
 * first certain cause, else what the daemon's journal says. False: neither.
 */
bool doctor_reason(const struct doctor_facts *facts, struct license_reason *ret_reason);

/* What the command ends with: by the first cause. */
enum error_code doctor_status(const struct doctor_facts *facts,
			      const struct doctor_causes *causes);

/* The contract's array; NULL: no memory. */
struct json *doctor_causes_json(const struct doctor_causes *causes);
