/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of QEMU's plugin interface that counter.c uses, since Debian
 * packages no header for it. Version 1 (QEMU 7.2) and versions 2 and later
 * (QEMU 9.0) differ in their inline operations; what only one of them exports
 * is weak here, so that one plugin loads into both.
 */
#ifndef QEMU_H
#define QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;		/* a translated block of guest code */
struct qemu_plugin_insn;	/* one instruction in it */
struct qemu_plugin_scoreboard;	/* a record for each virtual CPU */

struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	union {
		struct {
			int smp_vcpus;
			int max_vcpus;
		} system;
	};
};

/* A 64-bit counter in a scoreboard; passed by value. */
struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum { QEMU_PLUGIN_CB_NO_REGS = 0 };
enum { QEMU_PLUGIN_MEM_RW = 3 };
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

typedef void (*qemu_plugin_tb_fn)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_exec_fn)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_plugin_tb_fn fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    qemu_plugin_exec_fn fn, int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/*
 * Up to version 2 it takes the instruction alone and returns the address of
 * its bytes; from version 3 on it copies them and returns how many.
 */
uintptr_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn,
				void *data, size_t size);

#pragma weak qemu_plugin_register_vcpu_tb_exec_inline
#pragma weak qemu_plugin_register_vcpu_mem_inline
#pragma weak qemu_plugin_scoreboard_new
#pragma weak qemu_plugin_u64_get
#pragma weak qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu
#pragma weak qemu_plugin_register_vcpu_mem_inline_per_vcpu
#pragma weak qemu_plugin_read_memory_vaddr

/* Version 1. */
void
qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op,
					 void *counter, uint64_t value);
void
qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *insn, int access,
				     int op, void *counter, uint64_t value);

/* Version 2. */
struct qemu_plugin_scoreboard *
qemu_plugin_scoreboard_new(size_t size);
uint64_t
qemu_plugin_u64_get(struct qemu_plugin_u64 counter, unsigned int vcpu);
void
qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb,
						  int op,
						  struct qemu_plugin_u64 counter,
						  uint64_t value);
void
qemu_plugin_register_vcpu_mem_inline_per_vcpu(struct qemu_plugin_insn *insn,
					      int access, int op,
					      struct qemu_plugin_u64 counter,
					      uint64_t value);

/* Version 4, here only to be recognised by. */
void qemu_plugin_read_memory_vaddr(void);

#endif /* QEMU_H */
