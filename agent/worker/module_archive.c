/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/module_archive.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "worker/bundle/bundle_file.h"
#include "worker/certificate.h"
#include "worker/deflate.h"
#include "worker/inflate.h"
#include "worker/module_signature.h"
#include "worker/progress.h"
#include "worker/tar.h"

#define MANIFEST "manifest.json"
#define FOLDER "modules/"
#define MANIFEST_MAX (64u << 10)
#define UNPACKED_MAX (1ull << 30) /* nvidia.ko and nvidia-uvm.ko have some 120 MiB */
#define PACKED_MAX (512ull << 20)
#define PIECE ((size_t)1 << 20)

/* The state of one archive that is being read. */
struct reading {
	struct tar_taker taker;
	struct module_archive archive;
	const int *outputs;
	size_t output_count;
	struct digest digest; /* of the module at hand */
	struct sink_file file;
	struct sink_memory manifest;
	bool manifest_seen;
	bool at_manifest;
};

static void reading_done(struct reading *reading)
{
	digest_done(&reading->digest);
	sink_file_done(&reading->file);
	sink_memory_done(&reading->manifest);
	module_archive_done(&reading->archive);
}

void module_archive_done(struct module_archive *archive)
{
	json_free(archive->manifest);
	archive->manifest = NULL;
}

/* "nvidia", more of lower case letters, digits, "-" and "_", ".ko". */
static bool name_is_valid(const char *name)
{
	size_t length = strlen(name);

	return length < MODULE_ARCHIVE_NAME_SIZE && text_starts(name, "nvidia") &&
	       text_ends(name, ".ko") &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") ==
		       length - strlen(".ko");
}

static struct module_file *find_module(struct module_archive *archive, const char *name)
{
	for (size_t i = 0; i < archive->count; i++) {
		if (strcmp(archive->files[i].name, name) == 0)
			return &archive->files[i];
	}
	return NULL;
}

static int begin_manifest(struct reading *reading, struct sink **ret_sink,
			  struct error *err)
{
	if (reading->manifest_seen)
		return error_set(err, ERROR_INTEGRITY, "it has two manifests");
	reading->manifest_seen = true;
	reading->at_manifest = true;
	sink_memory_begin(&reading->manifest, MANIFEST_MAX);
	*ret_sink = &reading->manifest.sink;
	return 0;
}

/*
 * Opens the output of the next module; the names are checked before anything is written.
 */
static int begin_module(struct reading *reading, const char *name, uint64_t size,
			struct sink **ret_sink, struct error *err)
{
	struct module_archive *archive = &reading->archive;
	struct module_file *file = &archive->files[archive->count];
	bool wanted = archive->count < reading->output_count;

	if (!name_is_valid(name) || find_module(archive, name))
		return error_set(err, ERROR_INTEGRITY, "it has a module \"%s\" too many",
				 name);
	if (archive->count == BUILD_MODULES_MAX || (reading->output_count > 0 && !wanted))
		return error_set(err, ERROR_INTEGRITY, "it has too many modules");

	*file = (struct module_file){ .size = size,
				      .fd = wanted ? reading->outputs[archive->count]
						   : -1 };
	(void)text_copy(file->name, sizeof(file->name), name);
	if (wanted && sink_file_begin(&reading->file, file->fd, 0, err) < 0)
		return -1;
	if (digest_begin(&reading->digest, wanted ? &reading->file.sink : NULL, err) < 0)
		return -1;
	archive->count++;
	*ret_sink = &reading->digest.sink;
	return 0;
}

static int begin_member(struct tar_taker *taker, const struct tar_member *member,
			struct sink **ret_sink, struct error *err)
{
	struct reading *reading = (struct reading *)(void *)taker;

	if (strcmp(member->name, MANIFEST) == 0)
		return begin_manifest(reading, ret_sink, err);
	if (text_starts(member->name, FOLDER))
		return begin_module(reading, member->name + strlen(FOLDER), member->size,
				    ret_sink, err);
	return error_set(err, ERROR_INTEGRITY, "it has a member %s that does not belong",
			 member->name);
}

static int end_member(struct tar_taker *taker, struct error *err)
{
	struct reading *reading = (struct reading *)(void *)taker;
	struct module_archive *archive = &reading->archive;
	struct module_file *file;

	if (reading->at_manifest) {
		reading->at_manifest = false;
		if (json_parse(reading->manifest.data ? reading->manifest.data : "",
			       reading->manifest.size, &archive->manifest, err) == 0)
			return 0;
		(void)error_prefix(err, MANIFEST);
		return error_recode(err, ERROR_INTEGRITY);
	}
	file = &archive->files[archive->count - 1];
	if (file->fd >= 0 && sink_file_end(&reading->file, err) < 0)
		return -1;
	sink_file_done(&reading->file);
	if (digest_end(&reading->digest, file->sha256, err) < 0)
		return -1;
	digest_done(&reading->digest);
	return 0;
}

/* The manifest names these modules with these hashes, each once, and no other. */
static int check_manifest(struct module_archive *archive, struct error *err)
{
	const struct json *modules = json_get(archive->manifest, "modules");

	if (!archive->manifest)
		return error_set(err, ERROR_INTEGRITY, "it has no " MANIFEST);
	if (json_count(modules) != archive->count || !find_module(archive, "nvidia.ko"))
		return error_set(err, ERROR_INTEGRITY,
				 "its modules are not those of its " MANIFEST);

	for (size_t i = 0; i < archive->count; i++) {
		const char *name = json_get_string(json_at(modules, i), "name");
		const char *sha256 = json_get_string(json_at(modules, i), "sha256");
		const struct module_file *file = name ? find_module(archive, name) : NULL;

		for (size_t before = 0; file && before < i; before++) {
			if (strcmp(json_get_string(json_at(modules, before), "name"),
				   name) == 0)
				file = NULL;
		}
		if (!file || !sha256 || strcmp(file->sha256, sha256) != 0)
			return error_set(err, ERROR_INTEGRITY,
					 "a module is not what its " MANIFEST " says");
	}
	return 0;
}

int module_archive_check_signed(const struct module_archive *archive, struct error *err)
{
	const char *pem = json_get_string(archive->manifest, "certificate");
	const char *said = json_get_string(archive->manifest, "signed_by");
	struct certificate certificate;
	char title[CERTIFICATE_TITLE_SIZE];

	if (!pem)
		return 0;
	if (certificate_read(span_of(pem), &certificate, err) < 0)
		return error_recode(err, ERROR_INTEGRITY);
	certificate_title(&certificate, title);
	if (!said || strcmp(said, title) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "it names another signer than its certificate");
	for (size_t i = 0; i < archive->count; i++) {
		const struct module_file *file = &archive->files[i];
		struct stat st;

		if (file->fd < 0)
			continue;
		if (fstat(file->fd, &st) < 0)
			return error_set_errno(err, errno, "reading %s", file->name);
		if (module_signature_check(file->fd, (uint64_t)st.st_size, file->name,
					   span_of(pem), err) < 0)
			return -1;
	}
	return 0;
}

static int pump(int fd, struct sink *sink, struct error *err)
{
	cleanup_free char *buffer = malloc(PIECE);
	struct stat st;
	uint64_t at = 0;

	if (!buffer)
		return error_set_errno(err, ENOMEM, "reading the archive");
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "reading the archive");
	if ((uint64_t)st.st_size > PACKED_MAX)
		return error_set(err, ERROR_INTEGRITY, "the archive is too large");

	while (at < (uint64_t)st.st_size) {
		uint64_t left = (uint64_t)st.st_size - at;
		size_t size = left < PIECE ? (size_t)left : PIECE;

		if (bundle_file_read(fd, at, buffer, size, err) < 0 ||
		    sink_write(sink, buffer, size, err) < 0)
			return -1;
		at += size;
		progress_say(at, (uint64_t)st.st_size);
	}
	return 0;
}

int module_archive_read(int fd, const int *outputs, size_t output_count,
			struct module_archive *ret_archive, struct error *err)
{
	cleanup(reading_done) struct reading reading = {
		.taker = { .begin = begin_member, .end = end_member },
		.outputs = outputs,
		.output_count = output_count,
	};
	cleanup(inflate_done) struct inflate inflate = { .stream = NULL };
	cleanup(digest_done) struct digest whole = { .context = NULL };
	struct tar tar;

	tar_begin(&tar, &reading.taker);
	if (inflate_begin_gzip(&inflate, UNPACKED_MAX, &tar.sink, err) < 0 ||
	    digest_begin(&whole, &inflate.sink, err) < 0 ||
	    pump(fd, &whole.sink, err) < 0 || inflate_end_gzip(&inflate, err) < 0 ||
	    tar_end(&tar, err) < 0 || check_manifest(&reading.archive, err) < 0 ||
	    module_archive_check_signed(&reading.archive, err) < 0)
		return -1;

	reading.archive.size = whole.size;
	if (digest_end(&whole, reading.archive.sha256, err) < 0)
		return -1;
	*ret_archive = reading.archive;
	reading.archive.manifest = NULL;
	return 0;
}

static int hash_file(struct module_file *file, struct error *err)
{
	cleanup(digest_done) struct digest digest = { .context = NULL };
	struct stat st;

	if (!name_is_valid(file->name))
		return error_set(err, ERROR_INTERNAL, "\"%s\" is no module", file->name);
	if (fstat(file->fd, &st) < 0)
		return error_set_errno(err, errno, "reading %s", file->name);
	file->size = (uint64_t)st.st_size;
	if (digest_begin(&digest, NULL, err) < 0 ||
	    digest_read_fd(&digest, file->fd, file->size, err) < 0)
		return -1;
	return digest_end(&digest, file->sha256, err);
}

static int by_name(const void *a, const void *b)
{
	const struct module_file *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* Into the order of the archive, with what the manifest says of each. */
static int complete_manifest(struct module_archive *archive, struct error *err)
{
	struct json *modules = json_build("[]");

	qsort(archive->files, archive->count, sizeof(archive->files[0]), by_name);
	for (size_t i = 0; i < archive->count; i++) {
		struct module_file *file = &archive->files[i];

		if (hash_file(file, err) < 0 ||
		    json_append(modules, json_build("{s:s, s:I, s:s}", "name", file->name,
						    "size", (int64_t)file->size, "sha256",
						    file->sha256)) < 0) {
			json_free(modules);
			return err->code ? -1
					 : error_set_errno(err, ENOMEM,
							   "writing " MANIFEST);
		}
	}
	if (json_set(archive->manifest, "modules", modules) < 0)
		return error_set_errno(err, ENOMEM, "writing " MANIFEST);
	return 0;
}

static int write_manifest(const struct module_archive *archive, struct sink *sink,
			  struct error *err)
{
	cleanup_free char *text = json_print(archive->manifest);
	struct tar_member member = { .name = MANIFEST };

	if (!text)
		return error_set_errno(err, ENOMEM, "writing " MANIFEST);
	member.size = strlen(text);
	if (tar_write_head(sink, &member, err) < 0 ||
	    sink_write(sink, text, member.size, err) < 0)
		return -1;
	return tar_write_fill(sink, member.size, err);
}

static int write_module(const struct module_file *file, struct sink *sink,
			struct error *err)
{
	struct tar_member member = { .size = file->size };
	cleanup_free char *buffer = malloc(PIECE);

	if (!buffer)
		return error_set_errno(err, ENOMEM, "packing %s", file->name);
	(void)text_format(member.name, sizeof(member.name), FOLDER "%s", file->name);
	if (tar_write_head(sink, &member, err) < 0)
		return -1;
	for (uint64_t at = 0; at < file->size;) {
		uint64_t left = file->size - at;
		size_t size = left < PIECE ? (size_t)left : PIECE;

		if (bundle_file_read(file->fd, at, buffer, size, err) < 0 ||
		    sink_write(sink, buffer, size, err) < 0)
			return -1;
		at += size;
		progress_beat();
	}
	return tar_write_fill(sink, file->size, err);
}

static int write_members(const struct module_archive *archive, struct sink *sink,
			 struct error *err)
{
	if (write_manifest(archive, sink, err) < 0)
		return -1;
	for (size_t i = 0; i < archive->count; i++) {
		if (write_module(&archive->files[i], sink, err) < 0)
			return -1;
	}
	return tar_write_end(sink, err);
}

int module_archive_write(struct module_archive *archive, int output, struct error *err)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup(digest_done) struct digest whole = { .context = NULL };
	cleanup(deflate_done) struct deflate deflate = { .stream = NULL };

	if (complete_manifest(archive, err) < 0 ||
	    sink_file_begin(&file, output, 0, err) < 0 ||
	    digest_begin(&whole, &file.sink, err) < 0 ||
	    deflate_begin(&deflate, &whole.sink, err) < 0 ||
	    write_members(archive, &deflate.sink, err) < 0 ||
	    deflate_end(&deflate, err) < 0 || sink_file_end(&file, err) < 0)
		return -1;
	archive->size = whole.size;
	return digest_end(&whole, archive->sha256, err);
}

static struct json *files_json(const struct module_archive *archive)
{
	struct json *list = json_build("[]");

	for (size_t i = 0; list && i < archive->count; i++) {
		const struct module_file *file = &archive->files[i];

		if (json_append(list, json_build("{s:s, s:I, s:s}", "name", file->name,
						 "size", (int64_t)file->size, "sha256",
						 file->sha256)) < 0) {
			json_free(list);
			return NULL;
		}
	}
	return list;
}

int module_archive_answer(const struct module_archive *archive, struct json **ret_result,
			  struct error *err)
{
	*ret_result = json_build("{s:I, s:s, s:O, s:o}", "size", (int64_t)archive->size,
				 "sha256", archive->sha256, "manifest", archive->manifest,
				 "modules", files_json(archive));
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "answering");
}
