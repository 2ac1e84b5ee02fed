/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/transfer.h"

enum transfer transfer_decide(const struct transfer_facts *facts)
{
	if (facts->local)
		return TRANSFER_LOCAL;
	if (!facts->bundle || facts->pinned)
		return TRANSFER_WHOLE;
	if (facts->indexed)
		return TRANSFER_MEMBER;
	if (facts->summed)
		return TRANSFER_WHOLE;
	return facts->https || facts->warn ? TRANSFER_MEMBER : TRANSFER_WHOLE;
}

const char *transfer_name(enum transfer transfer)
{
	static const char *const names[] = {
		[TRANSFER_LOCAL] = "local",
		[TRANSFER_MEMBER] = "member",
		[TRANSFER_WHOLE] = "whole",
	};

	return names[transfer];
}
