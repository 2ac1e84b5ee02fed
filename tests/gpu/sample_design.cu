/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kernels of the design that the documentation's example has: tiles of 16 x 16, one float
 * a thread. What `validate` is compared with; tests/gpu/bench_validate.c carries the PTX.
 */

#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define THREAD_X __nvvm_read_ptx_sreg_tid_x()
#define THREAD_Y __nvvm_read_ptx_sreg_tid_y()
#define BLOCK_X __nvvm_read_ptx_sreg_ctaid_x()
#define BLOCK_Y __nvvm_read_ptx_sreg_ctaid_y()

extern "C" __global__ void copy(float *__restrict__ out, const float *__restrict__ in,
				unsigned size)
{
	unsigned x = BLOCK_X * 16 + THREAD_X, y = BLOCK_Y * 16 + THREAD_Y;

	out[(unsigned long)y * size + x] = in[(unsigned long)y * size + x];
}

extern "C" __global__ void naive(float *__restrict__ out, const float *__restrict__ in,
				 unsigned size)
{
	unsigned x = BLOCK_X * 16 + THREAD_X, y = BLOCK_Y * 16 + THREAD_Y;

	out[(unsigned long)x * size + y] = in[(unsigned long)y * size + x];
}

extern "C" __global__ void coalesced(float *__restrict__ out,
				     const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[16][16];
	unsigned x = BLOCK_X * 16 + THREAD_X, y = BLOCK_Y * 16 + THREAD_Y;

	tile[THREAD_Y][THREAD_X] = in[(unsigned long)y * size + x];
	__syncthreads();
	x = BLOCK_Y * 16 + THREAD_X;
	y = BLOCK_X * 16 + THREAD_Y;
	out[(unsigned long)y * size + x] = tile[THREAD_X][THREAD_Y];
}

extern "C" __global__ void optimized(float *__restrict__ out,
				     const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[16][17];
	unsigned x = BLOCK_X * 16 + THREAD_X, y = BLOCK_Y * 16 + THREAD_Y;

	tile[THREAD_Y][THREAD_X] = in[(unsigned long)y * size + x];
	__syncthreads();
	x = BLOCK_Y * 16 + THREAD_X;
	y = BLOCK_X * 16 + THREAD_Y;
	out[(unsigned long)y * size + x] = tile[THREAD_X][THREAD_Y];
}
