/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/build_log.h"

#include <string.h>

#include "support/cmocka.h"

static void the_telling_lines_are_found(void **state)
{
	static const struct {
		const char *output, *text;
		enum build_log_cause cause;
	} cases[] = {
		{ "  CC [M]  /a/nvidia/nv-pci.o\n"
		  "/a/nvidia/nv-pci.c:230:13: error: too few arguments to function\n"
		  "make[2]: *** [scripts/Makefile.build:250: /a/nv-pci.o] Error 1\n"
		  "make: *** [Makefile:85: modules] Error 2\n",
		  "nv-pci.c:230:13: error: too few arguments to function",
		  BUILD_LOG_SOURCE },
		{ "x.c:1:1: error: one\nx.c:2:1: error: two\nx.c:3:1: error: three\n",
		  "x.c:1:1: error: one; x.c:2:1: error: two", BUILD_LOG_SOURCE },
		{ "ERROR: modpost: \"gone\" [/a/nvidia.ko] undefined!\r\n",
		  "ERROR: modpost: \"gone\" [/a/nvidia.ko] undefined!",
		  BUILD_LOG_SOURCE },
		{ "Makefile:1003: *** \"install libelf-dev\".  Stop.\nmake: *** later\n",
		  "Makefile:1003: *** \"install libelf-dev\".  Stop.", BUILD_LOG_SOURCE },
		{ "gcc-12: fatal error: Killed signal terminated program cc1\n",
		  "gcc-12: fatal error: Killed signal terminated program cc1",
		  BUILD_LOG_KILLED },
		{ "/tmp/x.s: fatal error: error writing to a: No space left on device\n",
		  "x.s: fatal error: error writing to a: No space left on device",
		  BUILD_LOG_SOURCE },
		{ "first\nthe last\033 one\n\n  \n", "the last? one", BUILD_LOG_SOURCE },
		/* A warning, or an error that a warning is about, is none. */
		{ "x.c:1: warning: error-prone\nmake: *** stop\n", "make: *** stop",
		  BUILD_LOG_SOURCE },
		/* GNU ld's errors are not called so, its warnings are. */
		{ "ld: warning: x.o: missing .note.GNU-stack section\n"
		  "ld: nvidia.o: file not recognized: file format not recognized\n"
		  "make[2]: *** [Makefile:1: nvidia.ko] Error 1\n",
		  "ld: nvidia.o: file not recognized: file format not recognized",
		  BUILD_LOG_SOURCE },
		{ "/usr/bin/x86_64-linux-gnu-ld: a/nv.o: in function `f':\n"
		  "/a/nv.c:(.text+0x5): undefined reference to `gone'\n"
		  "make: *** stop\n",
		  "x86_64-linux-gnu-ld: a/nv.o: in function `f':; nv.c:(.text+0x5): "
		  "undefined reference to `gone'",
		  BUILD_LOG_SOURCE },
		{ "/opt/bin/ld.bfd: cannot find -lgone\nmake: *** stop\n",
		  "ld.bfd: cannot find -lgone", BUILD_LOG_SOURCE },
		{ "build: done\nmake: *** stop\n", "make: *** stop", BUILD_LOG_SOURCE },
		{ "collect2: fatal error: ld terminated with signal 9 [Killed]\n",
		  "collect2: fatal error: ld terminated with signal 9 [Killed]",
		  BUILD_LOG_KILLED },
		{ "make[3]: *** [x.mk:6: nvidia.ko] Killed\n",
		  "make[3]: *** [x.mk:6: nvidia.ko] Killed", BUILD_LOG_KILLED },
		/* What is missing is no fault of the sources. */
		{ "x.c:1:1: error: a header of the tool's\n/bin/sh: 1: flex: not found\n"
		  "make[1]: *** [x] Error 127\nmake: *** [y] Error 2\n",
		  "sh: 1: flex: not found", BUILD_LOG_NO_TOOL },
		{ "/bin/sh: line 1: bc: command not found\nmake: *** [x] Error 127\n",
		  "sh: line 1: bc: command not found", BUILD_LOG_NO_TOOL },
		/* Nor is what another driver would fail at, too. */
		{ "*** Failed CC sanity check. Bailing out! ***\n"
		  "make[1]: *** [Kbuild:82: x] Error 1\n",
		  "*** Failed CC sanity check. Bailing out! ***", BUILD_LOG_NO_TOOL },
		{ "gcc-12: fatal error: cannot execute 'cc1': execvp: No such file or "
		  "directory\ncompilation terminated.\n",
		  "gcc-12: fatal error: cannot execute 'cc1': execvp: No such file or "
		  "directory",
		  BUILD_LOG_NO_TOOL },
		{ "tools/objtool/objtool: error while loading shared libraries: "
		  "libelf.so.1: cannot open\nmake[3]: *** [x] Error 127\n",
		  "tools/objtool/objtool: error while loading shared libraries: "
		  "libelf.so.1: cannot open",
		  BUILD_LOG_NO_TOOL },
		{ "gcc: error: unrecognized command-line option '-fmin-function'\n",
		  "gcc: error: unrecognized command-line option '-fmin-function'",
		  BUILD_LOG_NO_TOOL },
		{ "  ERROR: Kernel configuration is invalid.\nmake: *** stop\n",
		  "ERROR: Kernel configuration is invalid.", BUILD_LOG_NO_TOOL },
		/* gcc only notes that beside the driver's own faults. */
		{ "x.c:1:1: error: bad\n"
		  "cc1: note: unrecognized command-line option '-Wno-x'\n",
		  "x.c:1:1: error: bad", BUILD_LOG_SOURCE },
		{ "make[2]: gcc-12: No such file or directory\n"
		  "make[2]: *** [x] Error 127\n",
		  "make[2]: gcc-12: No such file or directory", BUILD_LOG_NO_TOOL },
		{ "sh: pahole: not found\nx.c:1:1: error: one\nmake: *** [x] Error 1\n",
		  "x.c:1:1: error: one", BUILD_LOG_SOURCE },
		{ "", "", BUILD_LOG_SOURCE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];

		assert_int_equal(
			build_log_read(span_of(cases[i].output), text, sizeof(text)),
			cases[i].cause);
		assert_string_equal(text, cases[i].text);
	}
}

static void a_small_buffer_holds_what_fits(void **state)
{
	char text[12];

	(void)state;
	(void)build_log_read(span_of("x.c:1:1: error: a long one\n"), text, sizeof(text));

	assert_string_equal(text, "x.c:1:1: er");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_telling_lines_are_found),
		cmocka_unit_test(a_small_buffer_holds_what_fits),
	};

	return cmocka_run_group_tests_name("build_log", tests, NULL, NULL);
}
