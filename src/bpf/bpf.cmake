# BPF programs: clang -> object -> skeleton header, in the build tree.  No BTF of the build
# machine is needed: src/bpf/kern.h declares what the programs use of the kernel.
find_program(BPF_CLANG NAMES clang clang-14 clang-15 clang-16 clang-19 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

add_library(synward_bpf INTERFACE)
set(bpf_gen ${CMAKE_BINARY_DIR}/bpf)
file(MAKE_DIRECTORY ${bpf_gen})

function(synward_bpf_program name)
  set(src ${CMAKE_SOURCE_DIR}/src/bpf/${name}.bpf.c)
  set(obj ${bpf_gen}/${name}.bpf.o)
  set(skel ${bpf_gen}/${name}.skel.h)
  add_custom_command(OUTPUT ${obj}
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror
      -I${CMAKE_SOURCE_DIR}/src -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
      -MD -MF ${obj}.d -c ${src} -o ${obj}
    DEPENDS ${src} DEPFILE ${obj}.d VERBATIM)
  add_custom_command(OUTPUT ${skel}
    COMMAND ${BPFTOOL} gen skeleton ${obj} name sw_${name}_bpf > ${skel}
    DEPENDS ${obj})
  add_custom_target(bpf_${name} DEPENDS ${skel})
  add_dependencies(synward_bpf bpf_${name})
endfunction()

synward_bpf_program(steer)
synward_bpf_program(answer)
synward_bpf_program(assign)
# Generated code is not held to our warnings.
target_include_directories(synward_bpf SYSTEM INTERFACE ${bpf_gen})
