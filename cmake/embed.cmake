# Migrations become one C table in quern_db (see quern/db/db.h).
function(quern_embed_migrations target)
  file(GLOB sql CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/migrations/*.sql)
  set(out ${CMAKE_BINARY_DIR}/generated/migrations.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DDIR=${CMAKE_SOURCE_DIR}/migrations
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_migrations.cmake
    DEPENDS ${sql} ${CMAKE_SOURCE_DIR}/cmake/embed_migrations.cmake)
  get_target_property(type ${target} TYPE)
  if(NOT type STREQUAL "INTERFACE_LIBRARY")
    target_sources(${target} PRIVATE ${out})
  endif()
endfunction()

# A text file becomes the C array `name` of a room.
function(quern_embed_text target file name)
  set(out ${CMAKE_BINARY_DIR}/generated/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFILE=${CMAKE_SOURCE_DIR}/${file} -DNAME=${name}
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${CMAKE_SOURCE_DIR}/cmake/embed_text.cmake)
  target_sources(${target} PRIVATE ${out})
endfunction()
