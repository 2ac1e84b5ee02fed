/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/build_make.h"

#include <string.h>

#include "base/room.h"
#include "base/text.h"
#include "model/kernel/build_log.h"
#include "model/paths.h"
#include "steps/detect/module_file.h"

#define MAKE_S 3600
#define OUTPUT_MAX (1u << 20)
#define JOBS_MAX 32
#define JOB_BYTES (384u << 20) /* one compiler at its greediest, with room */

int build_make_explain(const struct root *root, const struct run_result *result,
		       const struct run *run, const char *what, struct error *err)
{
	static const char *const folders[] = { PATHS_BUILD,         PATHS_SOURCES,
					       PATHS_DKMS_REGISTRY, "/tmp",
					       "/var/tmp",          NULL };
	struct span output = { .at = result->output, .len = result->size };
	char how[64], words[420];
	enum build_log_cause cause = build_log_read(output, words, sizeof(words));

	(void)run_describe(result, run, how, sizeof(how));
	(void)error_set(err, ERROR_BUILD, "%s: %s%s%s", what, how, words[0] ? ": " : "",
			words);
	if (cause == BUILD_LOG_NO_TOOL ||
	    (!result->signal && result->status > RUN_STATUS_MAX)) {
		(void)error_recode(err, ERROR_PREREQUISITES);
		(void)error_hint(err, "install what is missing there, or make it whole: "
				      "the build of this kernel's modules calls it");
	}
	if (cause == BUILD_LOG_KILLED) {
		(void)error_passing(err, true);
		(void)error_hint(err, "a signal ended the compiler, most likely for want "
				      "of memory: see the kernel's log");
	}
	return room_explain(root, folders, err);
}

int build_make_tool(struct runner *runner, const struct root *root, const struct run *run,
		    const char *what, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };

	if (run_command(runner, root, run, &result, err) < 0)
		return -1;
	if (result.status != 0 || result.signal || result.timed_out)
		return build_make_explain(root, &result, run, what, err);
	return 0;
}

/* Few enough compilers at once that they fit in memory. */
long build_make_jobs(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	long fit = pages / ((long)JOB_BYTES / page);

	if (cpus > JOBS_MAX)
		cpus = JOBS_MAX;
	if (cpus > fit)
		cpus = fit;
	return cpus < 1 ? 1 : cpus;
}

/* "/usr/bin/clang-14" -> "-14", "" where the name has no version */
static const char *version_suffix(const char *compiler)
{
	const char *dash = strchr(text_base_name(compiler), '-');

	return dash ? dash : "";
}

int build_make_modules(struct runner *runner, const struct root *root,
		       const struct build_input *input, const char *work,
		       struct error *err)
{
	const struct kernel *kernel = input->kernel;
	const char *suffix = version_suffix(input->toolchain->compiler);
	char count[16], uname[96], source[160], output[160], compiler[160], tmpdir[200];
	char llvm[32], linker[32], map[200];
	const char *env[] = { tmpdir, NULL, NULL, NULL, NULL, NULL };
	const char *argv[] = {
		input->toolchain->make,
		"-C",
		work,
		count,
		"modules",
		uname,
		source,
		output,
		"IGNORE_CC_MISMATCH=1",
		compiler,
		NULL,
		NULL,
		NULL,
	};
	size_t last = ARRAY_SIZE(argv) - 3;
	struct run run = {
		.argv = argv,
		.env = env,
		.timeout_s = MAKE_S,
		.output_limit = OUTPUT_MAX,
		.log_fd = input->log_fd,
	};

	(void)text_format(count, sizeof(count), "-j%ld", build_make_jobs());
	(void)text_format(uname, sizeof(uname), "KERNEL_UNAME=%s", kernel->release);
	(void)text_format(source, sizeof(source), "SYSSRC=%s", kernel->source);
	(void)text_format(output, sizeof(output), "SYSOUT=%s", kernel->build);
	(void)text_format(compiler, sizeof(compiler), "CC=%s",
			  input->toolchain->compiler);
	(void)text_format(tmpdir, sizeof(tmpdir), "TMPDIR=%s", work);
	if (input->reproducible) {
		/* Only a make that is asked for it: gcc knows the option from 8 on. */
		(void)text_format(map, sizeof(map),
				  "KCFLAGS=-ffile-prefix-map=%s=/nvidia", work);
		env[1] = map;
		env[2] = "KBUILD_BUILD_TIMESTAMP=1970-01-01";
		env[3] = "KBUILD_BUILD_USER=vgpu-guest-agent";
		env[4] = "KBUILD_BUILD_HOST=vgpu-guest-agent";
	}
	if (kernel->clang) {
		(void)text_format(llvm, sizeof(llvm), "LLVM=%s",
				  suffix[0] ? suffix : "1");
		(void)text_format(linker, sizeof(linker), "LD=ld.lld%s", suffix);
		argv[last++] = llvm;
		argv[last] = linker;
	}
	return build_make_tool(runner, root, &run, "compiling the kernel modules", err);
}

#define FIELD_MAX 160

int build_make_check(const struct root *root, const struct build_input *input,
		     const char *module, struct error *err)
{
	cleanup_module_file struct module_file_library *library = NULL;
	const char *release = input->kernel->release;
	char vermagic[FIELD_MAX], version[FIELD_MAX];
	size_t length = strlen(release);

	if (module_file_open(&library, err) < 0)
		return -1;
	if (module_file_field(library, root, module, "vermagic", vermagic, FIELD_MAX,
			      err) < 0 ||
	    module_file_field(library, root, module, "version", version, FIELD_MAX, err) <
		    0)
		return error_recode(err, ERROR_BUILD);
	if (strncmp(vermagic, release, length) != 0 || vermagic[length] != ' ')
		return error_set(err, ERROR_BUILD,
				 "the new module is for kernel \"%s\", not for %s",
				 vermagic, release);
	if (strcmp(version, input->version) != 0)
		return error_set(err, ERROR_BUILD,
				 "the new module is of driver \"%s\", not of %s", version,
				 input->version);
	return 0;
}
