# The message brokers of a cluster: RabbitMQ by AMQP 0.9.1 (librabbitmq), others by AMQP 1.0 (Qpid Proton). Each is
# built when the cluster back ends are (CapiCluster.cmake) and its library is found; CAPI_CLUSTER=ON insists on both.
# Sets CAPI_WITH_RABBITMQ and CAPI_WITH_AMQP10, and for the room queue CAPI_BROKER_LIBRARIES and CAPI_BROKER_DEFINITIONS.
set(CAPI_WITH_RABBITMQ OFF)
set(CAPI_WITH_AMQP10 OFF)
set(CAPI_BROKER_LIBRARIES "")
set(CAPI_BROKER_DEFINITIONS "")

function(capi_broker name obstacle)
  if(NOT obstacle)
    message(STATUS "${name}: built")
  elseif(CAPI_CLUSTER STREQUAL "AUTO")
    message(STATUS "${name}: not built: ${obstacle}")
  else()
    message(FATAL_ERROR "${name} cannot be built: ${obstacle}")
  endif()
endfunction()

if(NOT CAPI_WITH_CLUSTER)
  return()
endif()

# Static and hidden: nothing of it is needed where the program runs. Its OpenSSL must come before the
# one that the wheel exports, as that of Capi::Transfer.
pkg_check_modules(CAPI_RABBITMQ_OPENSSL openssl)
find_library(CAPI_RABBITMQ_ARCHIVE librabbitmq.a)
find_path(CAPI_RABBITMQ_INCLUDE amqp.h)
if(CAPI_RABBITMQ_ARCHIVE AND CAPI_RABBITMQ_INCLUDE AND CAPI_RABBITMQ_OPENSSL_FOUND)
  set(CAPI_WITH_RABBITMQ ON)
  add_library(capi_rabbitmq INTERFACE)
  target_link_libraries(capi_rabbitmq INTERFACE "${CAPI_RABBITMQ_ARCHIVE}" Threads::Threads)
  target_link_options(capi_rabbitmq INTERFACE
    "LINKER:--push-state,--no-as-needed,-lcrypto,-lssl,--pop-state")
  if(NOT CAPI_SANITIZE)
    target_link_options(capi_rabbitmq INTERFACE "-Wl,--exclude-libs,ALL")
  endif()
  add_library(Capi::RabbitMq ALIAS capi_rabbitmq)
  list(APPEND CAPI_BROKER_LIBRARIES Capi::RabbitMq)
  list(APPEND CAPI_BROKER_DEFINITIONS CAPI_WITH_RABBITMQ)
  capi_broker("RabbitMQ" "")
else()
  capi_broker("RabbitMQ" "librabbitmq is not found (Debian: librabbitmq-dev, libssl-dev)")
endif()

# Debian has it as a shared library only. It must not come before the OpenSSL that it uses.
pkg_check_modules(CAPI_PROTON libqpid-proton)
if(CAPI_PROTON_FOUND)
  set(CAPI_WITH_AMQP10 ON)
  add_library(capi_proton INTERFACE)
  target_link_libraries(capi_proton INTERFACE ${CAPI_PROTON_LIBRARIES} Threads::Threads)
  target_link_options(capi_proton INTERFACE
    "LINKER:--push-state,--no-as-needed,-lcrypto,-lssl,--pop-state")
  add_library(Capi::Proton ALIAS capi_proton)
  list(APPEND CAPI_BROKER_LIBRARIES Capi::Proton)
  list(APPEND CAPI_BROKER_DEFINITIONS CAPI_WITH_AMQP10)
  capi_broker("AMQP 1.0" "")
else()
  capi_broker("AMQP 1.0" "Qpid Proton is not found (Debian: libqpid-proton11-dev)")
endif()
