# The small static keeper that quern_process carries inside. Left out of sanitizer builds and where
# static libraries are missing: quern then starts itself as keeper, which only costs time.
find_library(JANSSON_STATIC libjansson.a)
set(CMAKE_REQUIRED_LINK_OPTIONS -static-pie)
include(CheckCSourceCompiles)
check_c_source_compiles("int main(void) { return 0; }" HAVE_STATIC_PIE)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(JANSSON_STATIC AND HAVE_STATIC_PIE AND NOT QUERN_SANITIZE AND NOT QUERN_FUZZ)
  set(p ${CMAKE_SOURCE_DIR}/src/process)
  add_executable(quern_keeper ${p}/keeper_program.c ${p}/keeper.c ${p}/keeper_child.c
                 ${p}/keeper_log.c ${p}/spec.c ${p}/folder.c ${p}/proc.c)
  target_include_directories(quern_keeper PRIVATE ${p})
  # By file: the imported target of jansson names the shared library.
  target_link_libraries(quern_keeper PRIVATE $<TARGET_FILE:quern_json> $<TARGET_FILE:quern_core>
                        $<TARGET_FILE:quern_base> ${JANSSON_STATIC} Threads::Threads m)
  add_dependencies(quern_keeper quern_json quern_core quern_base)
  target_link_options(quern_keeper PRIVATE -static-pie -s)
  set(image ${CMAKE_BINARY_DIR}/generated/quern_keeper.image)
  add_custom_command(OUTPUT ${image} DEPENDS quern_keeper
    COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:quern_keeper> ${image} VERBATIM)
  set_source_files_properties(${p}/keeper_image.c PROPERTIES
    COMPILE_DEFINITIONS QUERN_KEEPER_IMAGE="${image}" OBJECT_DEPENDS ${image})
endif()
