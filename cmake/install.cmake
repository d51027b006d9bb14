# What goes where: the binary, its manual page and completions (printed by itself), migrations for
# people who want to read them, the unit files.
set(generated ${CMAKE_BINARY_DIR}/generated)
add_custom_command(OUTPUT ${generated}/quern.1 ${generated}/quern.bash ${generated}/_quern
                          ${generated}/quern.fish
  COMMAND quern man > ${generated}/quern.1
  COMMAND quern completion bash > ${generated}/quern.bash
  COMMAND quern completion zsh > ${generated}/_quern
  COMMAND quern completion fish > ${generated}/quern.fish
  DEPENDS quern VERBATIM)
add_custom_target(shell_files ALL DEPENDS ${generated}/quern.1)
install(FILES ${generated}/quern.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/quern.bash RENAME quern
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${generated}/_quern DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${generated}/quern.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/migrations DESTINATION ${CMAKE_INSTALL_DATADIR}/quern)
# The unit as it stands in deploy/ starts a distribution's binary; the installed one starts ours.
set(unit_file ${CMAKE_SOURCE_DIR}/deploy/quern.service)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${unit_file})
file(READ ${unit_file} unit)
string(REPLACE "/usr/bin/quern" "${CMAKE_INSTALL_FULL_BINDIR}/quern" unit "${unit}")
file(WRITE ${generated}/quern.service "${unit}")
install(FILES ${generated}/quern.service ${CMAKE_SOURCE_DIR}/deploy/quern.socket
        DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/quern.sysusers DESTINATION lib/sysusers.d
        RENAME quern.conf)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
