/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/layers.h"

#include <errno.h>

#include "base/confine.h"
#include "base/text.h"

/* Who the worker is, for root's; a plain user's worker is that user. */
static void name_user(const struct confine *confine, bool there, char *words, size_t size)
{
	if (!confine->root)
		(void)text_format(words, size, "your own user");
	else if (there)
		(void)text_format(words, size, "user " CONFINE_USER);
	else
		(void)text_format(words, size,
				  "user %u, because " CONFINE_USER " is missing",
				  confine->uid);
}

int layers_ask(const struct channel *channel, enum layers_state *ret_state,
	       char *ret_words, size_t size, struct error *err)
{
	cleanup_json struct json *request = json_build("{s:s}", "job", "layers");
	cleanup_json struct json *answer = NULL;
	struct confine confine = { .root = false };
	bool there = confine_begin(&confine), filter, own_network;
	char user[96], landlock[80] = "no Landlock in this kernel";
	int abi;

	if (!request)
		return error_set_errno(err, ENOMEM, "asking the worker");
	if (channel_call(channel, request, NULL, 0, &answer, err) < 0)
		return -1;

	abi = (int)json_get_int(answer, "landlock", 0);
	filter = json_get_bool(answer, "filter", false);
	own_network = json_get_bool(answer, "own_network", false);
	name_user(&confine, there, user, sizeof(user));
	if (abi > 0)
		(void)text_format(landlock, sizeof(landlock), "Landlock %d", abi);
	else if (json_get_bool(answer, "own_mounts", false))
		(void)text_copy(landlock, sizeof(landlock),
				"read-only mounts, no Landlock in this kernel");
	(void)text_format(ret_words, size,
			  "%s, no capabilities, no new privileges, limits, %s, %s%s",
			  user, !filter ? "built without its sandbox" : landlock,
			  filter ? "system call filter" : "for tests",
			  own_network    ? ", no network where none is needed"
			  : confine.root ? ", no network namespace to be had"
					 : "");
	*ret_state = !filter                                      ? LAYERS_NONE
		     : confine.root && !there                     ? LAYERS_USER
		     : abi <= 0 || (confine.root && !own_network) ? LAYERS_KERNEL
								  : LAYERS_ALL;
	return 0;
}
