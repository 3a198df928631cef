# `cmake --install` makes a folder that can be moved anywhere: the program finds its libraries beside
# itself, and the Arrow libraries of the wheel come along. The target package_tarball packs the folder.
if(NOT TARGET capi)
  return()
endif()
set(CAPI_INSTALL_DOC "share/doc/capillaries")

set_target_properties(capi PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS capi RUNTIME DESTINATION bin)
# The original's tool, for old scripts.
install(CODE "
  file(CREATE_LINK capi \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin/capitoolbelt\" SYMBOLIC)")

# Exactly those libraries of the wheel that the program needs, directly or through others, and Proton,
# which few machines have. Debian's file has another name than the one that programs ask for.
install(CODE "
  file(GET_RUNTIME_DEPENDENCIES
    EXECUTABLES \"$<TARGET_FILE:capi>\"
    RESOLVED_DEPENDENCIES_VAR libraries
    DIRECTORIES \"${CAPI_ARROW_LIBDIR}\"
    PRE_INCLUDE_REGEXES \"^lib(arrow|parquet|qpid-proton)\"
    PRE_EXCLUDE_REGEXES \".*\")
  foreach(library \${libraries})
    file(REAL_PATH \"\${library}\" file)
    get_filename_component(name \"\${library}\" NAME)
    file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib\" TYPE PROGRAM FILES \"\${file}\" RENAME \"\${name}\")
  endforeach()")

# Completions are printed by the program itself.
set(CAPI_COMPLETIONS "${CMAKE_BINARY_DIR}/completions")
install(CODE "
  file(MAKE_DIRECTORY \"${CAPI_COMPLETIONS}\")
  foreach(shell bash zsh fish)
    execute_process(COMMAND \"$<TARGET_FILE:capi>\" completion \${shell}
      OUTPUT_FILE \"${CAPI_COMPLETIONS}/\${shell}\" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()")
# The shells look for a file of the name of the program; zsh reads the names inside.
foreach(program capi capitoolbelt)
  install(FILES "${CAPI_COMPLETIONS}/bash"
    DESTINATION "share/bash-completion/completions" RENAME ${program})
  install(FILES "${CAPI_COMPLETIONS}/fish"
    DESTINATION "share/fish/vendor_completions.d" RENAME ${program}.fish)
endforeach()
install(FILES "${CAPI_COMPLETIONS}/zsh"
  DESTINATION "share/zsh/site-functions" RENAME _capi)

install(FILES README.md LICENSE DESTINATION "${CAPI_INSTALL_DOC}")
install(DIRECTORY docs DESTINATION "${CAPI_INSTALL_DOC}")
install(DIRECTORY examples DESTINATION "${CAPI_INSTALL_DOC}" PATTERN out EXCLUDE)

# The licences of what is linked in or shipped ask to be passed on.
file(GLOB CAPI_ARROW_LICENSES
  "${CAPI_ARROW_LIBDIR}/../pyarrow-*.dist-info/licenses/*.txt")
install(FILES ${CAPI_ARROW_LICENSES} DESTINATION "${CAPI_INSTALL_DOC}/licenses/arrow")
foreach(package libre2 libutf8proc libxxhash libsqlite3 libyaml-cpp rapidjson nlohmann-json3
    libspdlog libfmt libcli11 libfast-float)
  install(FILES "/usr/share/doc/${package}-dev/copyright"
    DESTINATION "${CAPI_INSTALL_DOC}/licenses" RENAME "${package}.txt" OPTIONAL)
endforeach()
if(CAPI_WITH_RABBITMQ)
  install(FILES "/usr/share/doc/librabbitmq-dev/copyright"
    DESTINATION "${CAPI_INSTALL_DOC}/licenses" RENAME librabbitmq.txt OPTIONAL)
endif()
if(CAPI_WITH_AMQP10)
  install(FILES "/usr/share/doc/libqpid-proton11-dev/copyright"
    DESTINATION "${CAPI_INSTALL_DOC}/licenses" RENAME libqpid-proton.txt OPTIONAL)
endif()

if(CAPI_WITH_CLUSTER)
  set(CAPI_CRATE_LICENSES "${CMAKE_BINARY_DIR}/rust-crates.txt")
  install(CODE "
    execute_process(COMMAND \"${CAPI_PYTHON}\" \"${CMAKE_SOURCE_DIR}/cmake/crate_licenses.py\" \"${CAPI_CARGO}\"
      \"${CMAKE_SOURCE_DIR}/src/capi/cql/driver/Cargo.toml\" \"${CAPI_CRATE_LICENSES}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES "${CAPI_CRATE_LICENSES}" DESTINATION "${CAPI_INSTALL_DOC}/licenses")
endif()

string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" CAPI_PLATFORM)
set(CAPI_PACKAGE "${PROJECT_NAME}-${PROJECT_VERSION}-${CAPI_PLATFORM}")
set(CAPI_PACKAGE_DIR "${CMAKE_BINARY_DIR}/package")
add_custom_target(package_tarball
  COMMAND "${CMAKE_COMMAND}" -E rm -rf "${CAPI_PACKAGE_DIR}"
  COMMAND "${CMAKE_COMMAND}" --install "${CMAKE_BINARY_DIR}"
    --prefix "${CAPI_PACKAGE_DIR}/${CAPI_PACKAGE}" --strip
  COMMAND "${CMAKE_COMMAND}" -E chdir "${CAPI_PACKAGE_DIR}"
    "${CMAKE_COMMAND}" -E tar czf "${CMAKE_BINARY_DIR}/${CAPI_PACKAGE}.tar.gz" "${CAPI_PACKAGE}"
  DEPENDS capi
  COMMENT "Packing ${CAPI_PACKAGE}.tar.gz"
  VERBATIM)
