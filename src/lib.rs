//! An embedded store for Kubernetes-style resources.
