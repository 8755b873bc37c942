// SPDX-License-Identifier: MIT
// The signal: one store of 64 bits. Not an exchange: on host memory that needs atomics which not every
// bus supports.
#version 450
#extension GL_EXT_shader_atomic_int64 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_memory_scope_semantics : require

layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Page {
	uint64_t words[];
};
layout(push_constant) uniform Signal {
	uint64_t value;
	uint word;
};

void main()
{
	// release: orders this device's earlier writes, which the barrier before it made available
	atomicStore(words[word], value, gl_ScopeDevice, gl_StorageSemanticsBuffer,
		    gl_SemanticsRelease);
}
