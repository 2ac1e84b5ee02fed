/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The commands of the program: each one's work is the file of its name. They answer with
 * the contract's JSON object, which may be there on failure, too; the caller frees it.
 * What people read is made of it in cli/.
 */

#include "base/json.h"
#include "commands/agent.h"

/* commands/run.c: whatever is a part of the whole job. */
must_check int command_run(struct agent *agent, const struct request *request,
			   struct json **ret_report, struct error *err);
must_check int command_run_install(struct agent *agent, const struct request *request,
				   struct json **ret_report, struct error *err);
must_check int command_run_configure(struct agent *agent, const struct request *request,
				     struct json **ret_report, struct error *err);

/* commands/token.c: FILE is the first operand, if there is one. */
must_check int command_token_check(struct agent *agent, const struct request *request,
				   struct json **ret_report, struct error *err);
must_check int command_token_install(struct agent *agent, const struct request *request,
				     struct json **ret_report, struct error *err);

/*
 * commands/plan.c. What `run` would die of is in the plan's key "would_fail"; an error
 * only where the plan itself cannot be made (statuses 1, 2, 3, 5, 6 and 16). detect
 * answers with an empty list and ERROR_NO_GPU without a GPU.
 */
must_check int command_plan(struct agent *agent, const struct request *request,
			    struct json **ret_report, struct error *err);
must_check int command_plan_detect(struct agent *agent, const struct request *request,
				   struct json **ret_report, struct error *err);

/*
 * commands/fetch.c: match and download only. The file lands in request->output under its
 * own name. Needs no root where the caller may write: the cache is the folder's own then.
 */
must_check int command_fetch(struct agent *agent, const struct request *request,
			     struct json **ret_report, struct error *err);

/*
 * commands/build_modules.c: a driver's kernel modules for one kernel, in one archive,
 * request->output, that is there whole or not at all. Changes nothing of the system and
 * needs no root: the work is done in a folder of its own.
 */
must_check int command_build_modules(struct agent *agent, const struct request *request,
				     struct json **ret_report, struct error *err);

/*
 * commands/index.c: the vgpu-index.json of a repository, of the files that the operands
 * name and of the entries of request->previous that stay; the repository's own documents
 * among them are skipped. A file's name in the index is its path from the folder of an
 * output that is called vgpu-index.json, else its relative path as the caller wrote it,
 * else its last component. The same input makes the same document, see
 * model/repository/index_merge.h; only --expires looks at the clock, and not where
 * SOURCE_DATE_EPOCH is set. What is made is proved to be read by index_from_json()
 * without a warning, and then request->output is replaced whole. ERROR_USAGE, before
 * anything is read, for a file that is not there and for an output that is one of the
 * files read.
 */
must_check int command_index(struct agent *agent, const struct request *request,
			     struct json **ret_report, struct error *err);

/*
 * commands/status.c: ends with ERROR_NO_GPU, ERROR_DRIVER or ERROR_UNLICENSED. With
 * request->prometheus the answer is {"schema":1,"metrics":TEXT}.
 */
must_check int command_status(struct agent *agent, const struct request *request,
			      struct json **ret_report, struct error *err);

/* commands/doctor.c: the status of the likeliest cause; request->bundle gets the support
 * archive. */
must_check int command_doctor(struct agent *agent, const struct request *request,
			      struct json **ret_report, struct error *err);

/*
 * commands/monitor.c: the daemon. Runs until a signal (then `err` is interrupted) or
 * until it cannot go on. A license that is lost or a driver that does not answer is no
 * reason. ERROR_NO_GPU at once where there is nothing to watch.
 */
must_check int command_monitor(struct agent *agent, const struct request *request,
			       struct json **ret_report, struct error *err);

/* commands/validate.c: a verified GPU workload, as the documentation's transpose example.
 * ERROR_DRIVER where the GPU computed wrongly. */
must_check int command_validate(struct agent *agent, const struct request *request,
				struct json **ret_report, struct error *err);

/* commands/config.c: opening the agent has checked the files; getting here is the answer.
 */
must_check int command_config_show(struct agent *agent, const struct request *request,
				   struct json **ret_report, struct error *err);
must_check int command_config_check(struct agent *agent, const struct request *request,
				    struct json **ret_report, struct error *err);

/*
 * commands/seal.c: before a snapshot of this guest becomes an image. Looks for copies of
 * a token first: where one lies outside of the places that are emptied, ERROR_PERMISSION
 * and "places" of the report name it, and nothing has been removed. Then
 * the agent's own units are stopped (steps/sealed.h). The driver,
 * gridd.conf and the operator's configuration stay. A second time nothing changes.
 */
must_check int command_seal(struct agent *agent, const struct request *request,
			    struct json **ret_report, struct error *err);

/*
 * commands/uninstall.c: the guest as it was before `install` and `configure`. Removes the
 * driver that the state names as ours, by its own uninstaller or the package manager, and
 * what the agent itself has written; a gridd.conf that was there before comes back. What
 * others installed stays, and so does the agent's configuration. Cut off, the next one
 * goes on.
 */
must_check int command_uninstall(struct agent *agent, const struct request *request,
				 struct json **ret_report, struct error *err);
