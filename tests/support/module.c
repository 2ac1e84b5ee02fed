/* SPDX-License-Identifier: Apache-2.0 */
#include "support/module.h"

#include <arpa/inet.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "support/cmocka.h"

enum { NONE, MODINFO, VERSIONS, NAMES, SECTIONS };

struct image {
	unsigned char bytes[8192];
	size_t size;
};

static void put(struct image *image, const void *data, size_t size)
{
	assert_true(image->size + size <= sizeof(image->bytes));
	memcpy(image->bytes + image->size, data, size);
	image->size += size;
}

static void put_field(struct image *image, const char *key, const char *value)
{
	if (!value)
		return;
	put(image, key, strlen(key));
	put(image, "=", 1);
	put(image, value, strlen(value) + 1);
}

static void put_versions(struct image *image, const struct module_version *version)
{
	for (; version && version->symbol; version++) {
		struct {
			uint64_t crc;
			char name[56];
		} entry = { .crc = version->crc };

		(void)snprintf(entry.name, sizeof(entry.name), "%s", version->symbol);
		put(image, &entry, sizeof(entry));
	}
}

/* The old kind, which names the signer in plain text; nobody checks it here. */
static void put_signature(struct image *image, const char *signer)
{
	struct {
		uint8_t algorithm, hash, type, signer_size, key_size, pad[3];
		uint32_t size;
	} info = { .algorithm = 1, .hash = 4, .size = htonl(4) };

	if (!signer)
		return;
	info.signer_size = (uint8_t)strlen(signer);
	info.key_size = 4;
	put(image, signer, info.signer_size);
	put(image, "key!sig!", 8);
	put(image, &info, sizeof(info));
	put(image, "~Module signature appended~\n", 28);
}

void module_write(const struct sysroot *sysroot, const char *path,
		  const struct module *module)
{
	static const char names[] = "\0.modinfo\0__versions\0.shstrtab";
	struct image image = { .size = 0 };
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_REL,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = SECTIONS,
		.e_shstrndx = NAMES,
	};
	Elf64_Shdr sections[SECTIONS] = {
		[MODINFO] = { .sh_name = 1, .sh_type = SHT_PROGBITS },
		[VERSIONS] = { .sh_name = 10, .sh_type = SHT_PROGBITS },
		[NAMES] = { .sh_name = 21, .sh_type = SHT_STRTAB },
	};
	char full[256];
	FILE *file;

	put(&image, &header, sizeof(header));
	sections[MODINFO].sh_offset = image.size;
	put_field(&image, "vermagic", module->vermagic);
	put_field(&image, "version", module->version);
	put_field(&image, "license", "GPL");
	sections[MODINFO].sh_size = image.size - sections[MODINFO].sh_offset;
	sections[VERSIONS].sh_offset = image.size;
	put_versions(&image, module->versions);
	sections[VERSIONS].sh_size = image.size - sections[VERSIONS].sh_offset;
	sections[NAMES].sh_offset = image.size;
	put(&image, names, sizeof(names));
	sections[NAMES].sh_size = sizeof(names);
	header.e_shoff = image.size;
	put(&image, sections, sizeof(sections));
	memcpy(image.bytes, &header, sizeof(header));
	put_signature(&image, module->signer);

	/* Not by base/file.h, whose calls a test may let fail. */
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	file = fopen(full, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(image.bytes, image.size, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}
