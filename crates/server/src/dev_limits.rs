//! The limits of a development server's services: what its command line says, at every start.

use usher_domain::service_limits::ServiceLimits;
use usher_registry::Directory;

use crate::StartError;

/// Sets the limits of every service that has others.
pub(crate) async fn set(directory: &Directory, limits: ServiceLimits) -> Result<(), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::internal("setting the limits", error);
    for service in directory.services().await.map_err(|error| failed(&error))? {
        let stored = directory.service(&service.name).await.map_err(|error| failed(&error))?;
        let Some(mut stored) = stored.filter(|stored| stored.value.limits != limits) else { continue };
        stored.value.limits = limits;
        directory.update(stored.value, stored.etag).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}
