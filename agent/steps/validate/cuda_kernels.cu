/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernels of `validate`: the transpose family of the documentation's example, for square
 * matrices of floats whose side is a multiple of 64; 256 threads a block. Compiled to
 * PTX for the oldest GPUs that vGPU drivers of branch 470 know (sm_50): the driver
 * compiles that for the GPU it finds. scripts/make-kernels writes steps/validate/cuda_kernels.c.
 */

#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define THREAD __nvvm_read_ptx_sreg_tid_x()
#define THREAD_Y __nvvm_read_ptx_sreg_tid_y()
#define BLOCK_X __nvvm_read_ptx_sreg_ctaid_x()
#define BLOCK_Y __nvvm_read_ptx_sreg_ctaid_y()

typedef float float4 __attribute__((ext_vector_type(4)));

/* What is read once and written once need not push other data out of the cache. */
static __device__ inline float4 load_once(const float4 *from)
{
	float4 v;

	asm volatile("ld.global.cs.v4.f32 {%0,%1,%2,%3}, [%4];"
		     : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
		     : "l"(from));
	return v;
}

static __device__ inline void store_once(float4 *to, float4 v)
{
	asm volatile("st.global.cs.v4.f32 [%0], {%1,%2,%3,%4};"
		     :
		     : "l"(to), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
		     : "memory");
}

/* 16 bytes a thread: more in flight by threads is faster than by loads of one thread. */
extern "C" __global__ void copy(float4 *out, const float4 *in, unsigned size)
{
	unsigned long at = BLOCK_X * 256ul + THREAD;

	store_once(out + at, load_once(in + at));
}

/* No shared memory: reads along rows, writes 16 bytes down a column. Tiles of 32 x 32. */
extern "C" __global__ void naive(float *__restrict__ out, const float *__restrict__ in,
				 unsigned size)
{
	unsigned x = BLOCK_X * 32 + THREAD % 32, y = BLOCK_Y * 32 + THREAD / 32 * 4;
	const float *from = in + (unsigned long)y * size + x;
	float4 v = { from[0], from[size], from[2ul * size], from[3ul * size] };

	*(float4 *)(out + (unsigned long)x * size + y) = v;
}

/* Through shared memory: rows on both sides, banks in conflict. Four tiles of 16 x 16. */
extern "C" __global__ void coalesced(float *__restrict__ out,
				     const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[4][16][16];
	unsigned tx = THREAD % 16, ty = THREAD / 16;
	unsigned x = BLOCK_X * 64, y = BLOCK_Y * 16;
	const float *from = in + (unsigned long)(y + ty) * size + x + tx;
	float *to = out + (unsigned long)(x + ty) * size + y + tx;
	float a = from[0], b = from[16], c = from[32], d = from[48];

	tile[0][ty][tx] = a;
	tile[1][ty][tx] = b;
	tile[2][ty][tx] = c;
	tile[3][ty][tx] = d;
	__syncthreads();
	to[0] = tile[0][tx][ty];
	to[16ul * size] = tile[1][tx][ty];
	to[32ul * size] = tile[2][tx][ty];
	to[48ul * size] = tile[3][tx][ty];
}

/* One float of padding a row keeps the banks apart. Tiles of 32 x 32. */
extern "C" __global__ void optimized(float *__restrict__ out,
				     const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[32][33];
	unsigned tx = THREAD % 32, ty = THREAD / 32;
	unsigned x = BLOCK_X * 32, y = BLOCK_Y * 32;
	const float *from = in + (unsigned long)(y + ty) * size + x + tx;
	float *to = out + (unsigned long)(x + ty) * size + y + tx;
	float a = from[0], b = from[8ul * size], c = from[16ul * size],
	      d = from[24ul * size];

	tile[ty][tx] = a;
	tile[ty + 8][tx] = b;
	tile[ty + 16][tx] = c;
	tile[ty + 24][tx] = d;
	__syncthreads();
	to[0] = tile[tx][ty];
	to[8ul * size] = tile[tx][ty + 8];
	to[16ul * size] = tile[tx][ty + 16];
	to[24ul * size] = tile[tx][ty + 24];
}

/*
 * 16 bytes a thread on both sides, and tiles of 64 x 64 in a shared memory whose rows are
 * turned by XOR so that neither its writes nor its reads meet in a bank. A warp reads
 * four pieces of 128 bytes and writes as many. Blocks go down the columns of the input:
 * their writes are neighbours in memory.
 */
extern "C" __global__ void best(float *__restrict__ out, const float *__restrict__ in,
				unsigned size)
{
	__shared__ static float tile[64 * 64] __attribute__((aligned(16)));
	unsigned lane = THREAD % 32, warp = THREAD / 32;
	unsigned c = (lane % 8 + warp % 2 * 8) * 4, r = lane / 8 + warp / 2 * 4;
	unsigned x = BLOCK_Y * 64, y = BLOCK_X * 64;
	const float *from = in + (unsigned long)(y + r) * size + x + c;
	float *to = out + (unsigned long)(x + r) * size + y + c;
	float4 v[4];

#pragma unroll
	for (unsigned j = 0; j < 4; j++)
		v[j] = *(const float4 *)(from + 16ul * j * size);
#pragma unroll
	for (unsigned j = 0; j < 4; j++) {
		unsigned at = (r + 16 * j) ^ c;

		tile[(c + 0) * 64 + at] = v[j].x;
		tile[(c + 1) * 64 + at] = v[j].y;
		tile[(c + 2) * 64 + at] = v[j].z;
		tile[(c + 3) * 64 + at] = v[j].w;
	}
	__syncthreads();
#pragma unroll
	for (unsigned j = 0; j < 4; j++) {
		unsigned row = r + 16 * j;

		v[j] = *(const float4 *)(tile + row * 64 + (c ^ (row / 4 * 4)));
	}
#pragma unroll
	for (unsigned j = 0; j < 4; j++)
		*(float4 *)(to + 16ul * j * size) = v[j];
}

/*
 * Small matrices leave most of a GPU idle: there the example's own design is faster, one
 * float a thread in blocks of 16 x 16, for no thread waits for four loads.
 */
extern "C" __global__ void naive_small(float *__restrict__ out,
				       const float *__restrict__ in, unsigned size)
{
	unsigned x = BLOCK_X * 16 + THREAD, y = BLOCK_Y * 16 + THREAD_Y;

	out[(unsigned long)x * size + y] = in[(unsigned long)y * size + x];
}

extern "C" __global__ void coalesced_small(float *__restrict__ out,
					   const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[16][16];
	unsigned x = BLOCK_X * 16 + THREAD, y = BLOCK_Y * 16 + THREAD_Y;

	tile[THREAD_Y][THREAD] = in[(unsigned long)y * size + x];
	__syncthreads();
	x = BLOCK_Y * 16 + THREAD;
	y = BLOCK_X * 16 + THREAD_Y;
	out[(unsigned long)y * size + x] = tile[THREAD][THREAD_Y];
}

extern "C" __global__ void optimized_small(float *__restrict__ out,
					   const float *__restrict__ in, unsigned size)
{
	__shared__ static float tile[16][17];
	unsigned x = BLOCK_X * 16 + THREAD, y = BLOCK_Y * 16 + THREAD_Y;

	tile[THREAD_Y][THREAD] = in[(unsigned long)y * size + x];
	__syncthreads();
	x = BLOCK_Y * 16 + THREAD;
	y = BLOCK_X * 16 + THREAD_Y;
	out[(unsigned long)y * size + x] = tile[THREAD][THREAD_Y];
}
