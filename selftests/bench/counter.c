// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG: what the guest executes between the marks of
 * window.h. One virtual CPU only, so that the counters are exact.
 *
 *   -plugin counter.so,windows=FILE[,blocks=FILE]
 *
 * For each window, windows= gets a line of four numbers: instructions in user
 * mode, instructions in the kernel, bytes the kernel copied with rep movs,
 * bytes it filled with rep stos. blocks= gets the kernel's instructions apart
 * by the block of code they stand in: a line "window N", then address and
 * count a line.
 *
 * QEMU executes an iteration of a repeated string instruction as if it were an
 * instruction of its own, or not, depending on its version. So these are
 * counted by their bytes alone, and as no instruction.
 *
 * Instructions are counted a block at a time, as it is entered; one that is
 * left early, by a fault, counts whole. User mode and kernel are told apart by
 * the block's address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"
#include "window.h"

#define EXPORT __attribute__((visibility("default")))

/* The upper half of the address space is the kernel's. */
#define KERNEL_START	0xffff800000000000ULL

/* Well above what a kernel executes of different blocks. */
#define BLOCK_BITS	18
#define MAX_BLOCKS	(1U << BLOCK_BITS)

enum counter { USER, KERNEL, MOVED, FILLED, FIRST_BLOCK };

EXPORT int qemu_plugin_version;

static bool per_vcpu;
static int api_version;
static uint64_t plain[FIRST_BLOCK + MAX_BLOCKS];
static struct qemu_plugin_scoreboard *score;

static FILE *windows_file, *blocks_file;
static uint64_t at_begin[FIRST_BLOCK + MAX_BLOCKS];
static uint64_t block_address[MAX_BLOCKS];
static unsigned int window;
static bool is_open;

/* QEMU compares the version before it calls anything of the plugin. */
__attribute__((constructor)) static void choose_version(void)
{
	per_vcpu = qemu_plugin_scoreboard_new;
	if (!per_vcpu)
		qemu_plugin_version = 1;
	else
		qemu_plugin_version = qemu_plugin_read_memory_vaddr ? 4 : 2;
}

static struct qemu_plugin_u64 scored(unsigned int counter)
{
	return (struct qemu_plugin_u64) { score, counter * sizeof(uint64_t) };
}

static uint64_t value_of(unsigned int counter)
{
	return per_vcpu ? qemu_plugin_u64_get(scored(counter), 0) : plain[counter];
}

static void count_block(struct qemu_plugin_tb *tb, unsigned int counter,
			uint64_t value)
{
	const int add = QEMU_PLUGIN_INLINE_ADD_U64;

	if (per_vcpu)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, add,
								  scored(counter),
								  value);
	else
		qemu_plugin_register_vcpu_tb_exec_inline(tb, add, &plain[counter],
							 value);
}

/* QEMU 7.2 cannot tell loads from stores here, so both are counted. */
static void count_access(struct qemu_plugin_insn *insn, unsigned int counter,
			 uint64_t value)
{
	const int add = QEMU_PLUGIN_INLINE_ADD_U64;
	const int both = QEMU_PLUGIN_MEM_RW;

	if (per_vcpu)
		qemu_plugin_register_vcpu_mem_inline_per_vcpu(insn, both, add,
							      scored(counter),
							      value);
	else
		qemu_plugin_register_vcpu_mem_inline(insn, both, add,
						     &plain[counter], value);
}

/* The counter of the kernel's block at an address. */
static unsigned int block_counter(uint64_t address)
{
	unsigned int i = (address * 0x9e3779b97f4a7c15ULL) >> (64 - BLOCK_BITS);
	unsigned int tries;

	for (tries = 0; tries < MAX_BLOCKS; tries++) {
		if (!block_address[i])
			block_address[i] = address;
		if (block_address[i] == address)
			return FIRST_BLOCK + i;
		i = (i + 1) % MAX_BLOCKS;
	}
	fprintf(stderr, "counter: more than %u blocks\n", MAX_BLOCKS);
	abort();
}

static unsigned int counters_in_use(void)
{
	return blocks_file ? FIRST_BLOCK + MAX_BLOCKS : FIRST_BLOCK;
}

static void begin(unsigned int vcpu, void *unused)
{
	unsigned int i;

	(void)vcpu;
	(void)unused;
	for (i = 0; i < counters_in_use(); i++)
		at_begin[i] = value_of(i);
	is_open = true;
}

static void end(unsigned int vcpu, void *unused)
{
	unsigned long long n[FIRST_BLOCK];
	unsigned int i;

	(void)vcpu;
	(void)unused;
	if (!is_open)
		return;
	is_open = false;
	for (i = 0; i < FIRST_BLOCK; i++)
		n[i] = value_of(i) - at_begin[i];
	n[MOVED] /= 2;	/* loaded and stored */
	fprintf(windows_file, "%llu %llu %llu %llu\n", n[USER], n[KERNEL],
		n[MOVED], n[FILLED]);
	fflush(windows_file);

	if (!blocks_file)
		return;
	fprintf(blocks_file, "window %u\n", window++);
	for (; i < counters_in_use(); i++) {
		unsigned long long count = value_of(i) - at_begin[i];

		if (count)
			fprintf(blocks_file, "%llx %llu\n",
				(unsigned long long)block_address[i - FIRST_BLOCK],
				count);
	}
	fflush(blocks_file);
}

static size_t read_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes,
			 size_t size)
{
	uintptr_t answer = qemu_plugin_insn_data(insn, bytes, size);

	if (size > qemu_plugin_insn_size(insn))
		size = qemu_plugin_insn_size(insn);
	if (api_version < 3)
		memcpy(bytes, (const void *)answer, size);
	return size;
}

/* A string instruction with a repeat prefix; what it is, and on what. */
struct string_op {
	bool repeated;
	uint8_t opcode;
	unsigned int size;
};

static struct string_op decode_string(const uint8_t *bytes, size_t size)
{
	struct string_op op = { false, 0, 4 };
	bool repeat = false;
	size_t i;

	for (i = 0; i < size; i++) {
		switch (bytes[i]) {
		case 0xf2:
		case 0xf3:
			repeat = true;
			continue;
		case 0x66:
			op.size = 2;
			continue;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x67:
			continue;
		case 0x40 ... 0x4f:
			if (bytes[i] & 8)
				op.size = 8;
			continue;
		}
		break;
	}
	if (i == size || !repeat)
		return op;
	op.opcode = bytes[i] & ~1;
	if (op.opcode == bytes[i])
		op.size = 1;
	switch (op.opcode) {
	case 0x6c: case 0x6e:			/* ins, outs */
	case 0xa4: case 0xa6:			/* movs, cmps */
	case 0xaa: case 0xac: case 0xae:	/* stos, lods, scas */
		op.repeated = true;
	}
	return op;
}

static void mark(struct qemu_plugin_insn *insn, const uint8_t *bytes, size_t size)
{
	uint32_t opcode, which;

	if (size != sizeof(opcode) + sizeof(which))
		return;
	memcpy(&opcode, bytes, sizeof(opcode));
	memcpy(&which, bytes + sizeof(opcode), sizeof(which));
	if (opcode != WINDOW_OPCODE)
		return;
	if (which == WINDOW_BEGIN)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin,
						       QEMU_PLUGIN_CB_NO_REGS, NULL);
	if (which == WINDOW_END)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, end,
						       QEMU_PLUGIN_CB_NO_REGS, NULL);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	bool kernel = address >= KERNEL_START;
	size_t i, count = qemu_plugin_tb_n_insns(tb);
	uint64_t plain_insns = 0;

	(void)id;
	for (i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[16];
		size_t size = read_bytes(insn, bytes, sizeof(bytes));
		struct string_op op = decode_string(bytes, size);

		if (!op.repeated)
			plain_insns++;
		else if (kernel && op.opcode == 0xa4)
			count_access(insn, MOVED, op.size);
		else if (kernel && op.opcode == 0xaa)
			count_access(insn, FILLED, op.size);
		if (!kernel)
			mark(insn, bytes, size);
	}
	if (!plain_insns)
		return;
	count_block(tb, kernel ? KERNEL : USER, plain_insns);
	if (kernel && blocks_file)
		count_block(tb, block_counter(address), plain_insns);
}

/* Opens the file that an argument NAME=FILE names. */
static FILE *open_argument(const char *argument, const char *name)
{
	size_t length = strlen(name);
	FILE *file;

	if (strncmp(argument, name, length) || argument[length] != '=')
		return NULL;
	file = fopen(argument + length + 1, "we");
	if (!file)
		perror(argument);
	return file;
}

EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			       int argc, char **argv);
int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	int i;

	if (!info->system_emulation || info->system.max_vcpus != 1 ||
	    strcmp(info->target_name, "x86_64")) {
		fprintf(stderr, "counter: for x86_64 machines with one CPU only\n");
		return -1;
	}
	for (i = 0; i < argc; i++) {
		FILE *file = open_argument(argv[i], "windows");

		if (file) {
			windows_file = file;
			continue;
		}
		blocks_file = open_argument(argv[i], "blocks");
		if (!blocks_file) {
			fprintf(stderr, "counter: bad argument: %s\n", argv[i]);
			return -1;
		}
	}
	if (!windows_file) {
		fprintf(stderr, "counter: windows=FILE is missing\n");
		return -1;
	}

	api_version = info->version.cur;
	if (per_vcpu)
		score = qemu_plugin_scoreboard_new(sizeof(plain));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
