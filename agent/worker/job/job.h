/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The jobs of the workers: one request object in, one result object out. Descriptors
 * stand in requests as the numbers that they have in the worker.
 *
 * list, fetch, member and metadata go to the network: two processes do them
 * (base/channel_parts.h). The fetch worker has the request without "http"; it asks the
 * net worker, which has "http" and the URLs, by "questions":fd and "answers":fd
 * (worker/remote.h, worker/net/serve.h). probe is the net worker's, all others are the
 * fetch worker's alone.
 *
 * "http", where a job goes to the network:
 *   {"proxy":s,"rate_limit_kib":i,"retries":i,"connect_timeout":i,"stall_timeout":i,
 *    "ca":fd?,"cert":fd?,"key":fd?,"netrc":fd?,"header":fd?,"trusted_hosts":[s,...],
 *    "retry_base_ms":i?}
 *   A descriptor is a file's whole content, read through /proc/self/fd/N. Credentials
 *   (header, netrc, cert) go only to a host of "trusted_hosts", which are the hosts of
 *   URLs that stand in root-owned files ("host", or "https://host" where such a URL is
 *   https: then never over http), and stay behind at a redirect to another origin.
 *   Redirects to link-local and loopback addresses are refused unless the URL's own host
 *   is one. An empty proxy: what the environment says. "retry_base_ms" is the first of
 *   the doubling intervals between tries: 5000, less in tests.
 *
 * list    {"job","repository":url,"catalog":"auto"|"none","catalog_input":fd?,
 *          "index_keys":fd?,"http"}
 *         -> model/repository/repository.h
 * fetch   {"job","url":s,"output":fd,"size":i?,"sha256":s?,"max_size":i,"http"}
 *         Bytes that `output` holds already are hashed again and resumed (only with a
 *         sha256); progress {"done":i,"total":i}
 *         -> {"size":i,"sha256":s,"bytes_transferred":i,"verified":bool}; verified:
 *         every hop https with a verified peer, false when nothing had to be fetched
 * member
 * {"job","url":s,"output":fd,"note":fd?,"wish":model/driver/member.h,"entry":{"name":s,
 *          "offset":i,"method":i,"compressed_size":i,"size":i,"sha256":s}?,"ranges":b,
 *          "size":i?,"sha256":s?,"max_size":i,"max_member":i,"http"}
 *         The member of a bundle that is wished for, unpacked into `output` while it
 *         comes. By ranges ("ranges"): with the entry of an index, whose SHA-256 then
 *         judges, or by the bundle's own directory, and CRC-32. Else, and where the
 *         server has no ranges, the whole bundle passes by; its "size" and "sha256"
 *         judge. With `note` what `output` holds is resumed, when the SHA-256 of the
 *         entry is known.
 *         -> {"transfer":"member"|"whole"|"spool","member":{"name","kind","version",
 *             "arch","size"},"size":i,"sha256":s,"bytes_transferred":i,"verified":b,
 *             "why":s|null}
 *         why: what was tried first in vain. spool: this bundle must lie somewhere whole
 *         before it can be unpacked; only bytes_transferred and why count
 * copy    {"job","input":fd,"output":fd?,"size":i?,"sha256":s?}   a local file, hashed
 *         -> the same; without output only the hash
 * inspect {"job","input":fd,"name":s}
 *         -> {"kind":s,"version":s|null,"arch":s|null,
 *             "members":[{"name":s,"kind":s,"version":s,"arch":s,"size":i}]}
 *         of a .run the header's version_string and TARGET_ARCH; of a bundle its guest
 *         drivers
 * index   {"job","input":fd,"name":s}
 *         -> the same, and of each member {"offset":i,"method":i,"compressed_size":i,
 *         "sha256":s} (of the unpacked bytes), and of the file {"size":i,"sha256":s}
 * unpack  {"job","input":fd,"output":fd,"member":s,"max_size":i}; progress as above
 *         -> {"member":s,"size":i,"sha256":s}
 * modules {"job","input":fd,"outputs":[fd,...]?}; progress as above
 *         an archive of prebuilt kernel modules: the first into the first output, ...
 *         -> {"size":i,"sha256":s,"manifest":{...},
 *             "modules":[{"name":s,"size":i,"sha256":s}]}; size and hash are the
 * archive's pack {"job","output":fd,"manifest":{...},"modules":[{"name":s,"input":fd}],
 *          "mtime":i}
 *         -> the same; the manifest has got its "modules" and, where the certificate
 *         of the key that signed them is given as "cert":fd, "signed_by" and
 * "certificate" (PEM), by which both jobs verify the signatures metadata
 * {"job","service":url?,"timeout":i,"drive":[{"name":s,"input":fd}]}
 *         -> {"found":bool,"object":{...},"token":s|null,"token_source":s|null,
 *             "token_check":{...}|null,"sources":[s,...],
 *             "service":"answered"|"absent"|"empty"|"off","warnings":[s]}
 *         object: the merged vgpu_guest_agent without client_token*; token_check: what
 *         the job "token" says of it; never through a proxy
 * token   {"job","input":fd}
 *         -> the object of `token check` (contract, section 3)
 * search  {"job","inputs":[fd,...],"pieces":[s,...]}
 *         for tokens in gzip files; pieces: model/license/trace.h
 *         -> {"contents":["clean"|"token"|"unread",...]}; unread: none in what could be
 *         unpacked
 * probe   {"job","servers":[{"host":s,"ports":[i]}],"timeout":i,"date":b?}
 *         connects and sends nothing; with "date" also one GET of "/", whoever answers
 *         -> {"servers":[{"host":s,"port":i,
 *             "outcome":"open"|"refused"|"filtered"|"dns"|"tls","detail":s|null,
 *             "offset":i|null}]}
 *         tls: with "date", and no TLS came about; offset: our clock less the server's
 *         Date, seconds
 * certificate {"job","cert":fd,"key":fd?,"module":fd?}
 *         of the key that signs modules; with "key" an error where the two are no pair;
 *         signs: its key has signed "module"
 *         -> {"key_id":s,"name":s,"kind":s,"signs":b}   (worker/certificate.h)
 * layers  {"job"}
 *         what holds this process (worker/sandbox.h)
 *         -> {"user":i,"landlock":i,"filter":b,"own_network":b,"own_mounts":b}
 *
 * Every job that goes to the network may connect to the ports of its URLs, of its proxy
 * and of "servers", to 53, 80 and 443, and to those of "ports":[i,...].
 */

#include "base/error.h"
#include "base/json.h"

struct job {
	const char *name;
	int (*run)(const struct json *request, struct json **ret_result,
		   struct error *err);
};

int job_list(const struct json *request, struct json **ret_result, struct error *err);
int job_fetch(const struct json *request, struct json **ret_result, struct error *err);
int job_member(const struct json *request, struct json **ret_result, struct error *err);
int job_copy(const struct json *request, struct json **ret_result, struct error *err);
int job_inspect(const struct json *request, struct json **ret_result, struct error *err);
int job_index(const struct json *request, struct json **ret_result, struct error *err);
int job_unpack(const struct json *request, struct json **ret_result, struct error *err);
int job_modules(const struct json *request, struct json **ret_result, struct error *err);
int job_pack(const struct json *request, struct json **ret_result, struct error *err);
int job_metadata(const struct json *request, struct json **ret_result, struct error *err);
int job_token(const struct json *request, struct json **ret_result, struct error *err);
int job_certificate(const struct json *request, struct json **ret_result,
		    struct error *err);
int job_search(const struct json *request, struct json **ret_result, struct error *err);
int job_layers(const struct json *request, struct json **ret_result, struct error *err);
int job_probe(const struct json *request, struct json **ret_result, struct error *err);
